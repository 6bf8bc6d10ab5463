# Varnish as a cache before hufu-responder. Try it: varnishd -F -a 127.0.0.1:8080 -f "$PWD/deploy/caches/hufu.vcl"
#
# What matters, each line tried by tests/it/caches.rs:
# - the target is taken as it came, slashes and percent signs and all;
# - the answers' own Cache-Control decides how long; error answers say no-store, which the built-in rules obey;
# - nothing is served past its time: no grace. What has run out is kept to ask with If-None-Match.
#
# Varnish asks for lists in gzip and unpacks them itself for clients that want them plain (their tag is then weak).
# Lists of tens of megabytes want room: give it a large `-s default,4g`.
vcl 4.1;

backend hufu {
    .host = "127.0.0.1";
    .port = "2560";
}

sub vcl_recv {
    # Nothing here depends on who asks: cookies and credentials only keep the built-in rules from looking into the cache.
    unset req.http.Cookie;
    unset req.http.Authorization;
}

sub vcl_hash {
    # The same question under another name of this host has the same answer.
    hash_data(req.url);
    return (lookup);
}

sub vcl_backend_response {
    set beresp.grace = 0s;
    set beresp.keep = 2h;
}

sub vcl_deliver {
    if (obj.hits > 0) {
        set resp.http.X-Cache = "HIT";
    } else {
        set resp.http.X-Cache = "MISS";
    }
}
