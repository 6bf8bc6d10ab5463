import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.cert.CertPathValidator;
import java.security.cert.CertPathValidatorException;
import java.security.cert.CertPathValidatorException.BasicReason;
import java.security.cert.CertStore;
import java.security.cert.CertificateFactory;
import java.security.cert.CertificateRevokedException;
import java.security.cert.CollectionCertStoreParameters;
import java.security.cert.PKIXParameters;
import java.security.cert.PKIXRevocationChecker;
import java.security.cert.PKIXRevocationChecker.Option;
import java.security.cert.TrustAnchor;
import java.security.cert.X509Certificate;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;

/**
 * The JDK's own path validator: is a certificate valid under this issuer, and if not, is it for revocation? It has one
 * source only, never falls back to another and forgives nothing: where it gets no status it says undetermined.
 *
 * <p>{@code ocsp ISSUER [responder CERTIFICATE URL] LEAF…}: asks the responder that the certificate names, or that one,
 * trusted by its certificate. {@code crl ISSUER LEAF…}: fetches the list that the certificate names.
 * {@code lists ISSUER LEAF [LIST…] [-- LEAF [LIST…]]…}: has these lists for each. One line a leaf.
 */
public final class Pkix {
    private final X509Certificate issuer;
    private final CertificateFactory factory = CertificateFactory.getInstance("X.509");
    private X509Certificate responder;
    private URI url;
    private List<Object> lists;

    private Pkix(String issuer) throws Exception {
        this.issuer = certificate(issuer);
    }

    public static void main(String[] arguments) throws Exception {
        // No answer of the network's is waited for longer.
        System.setProperty("com.sun.security.ocsp.timeout", "60");
        System.setProperty("com.sun.security.crl.timeout", "60");
        var judge = new Pkix(arguments[1]);
        var leaves = List.of(arguments).subList(2, arguments.length);
        switch (arguments[0]) {
            case "ocsp" -> {
                if (leaves.get(0).equals("responder")) {
                    judge.responder = judge.certificate(leaves.get(1));
                    judge.url = URI.create(leaves.get(2));
                    leaves = leaves.subList(3, leaves.size());
                }
                judge.print(leaves, EnumSet.of(Option.NO_FALLBACK, Option.ONLY_END_ENTITY));
            }
            case "crl" -> judge.print(leaves, BY_LISTS);
            case "lists" -> {
                while (!leaves.isEmpty()) {
                    int end = leaves.indexOf("--") < 0 ? leaves.size() : leaves.indexOf("--");
                    judge.has(leaves.subList(1, end));
                    judge.print(leaves.subList(0, 1), BY_LISTS);
                    leaves = leaves.subList(Math.min(end + 1, leaves.size()), leaves.size());
                }
            }
            default -> throw new IllegalArgumentException(arguments[0]);
        }
    }

    private void has(List<String> files) throws Exception {
        lists = new ArrayList<>();
        for (String file : files) {
            try (var octets = Files.newInputStream(Path.of(file))) {
                lists.add(factory.generateCRL(octets));
            }
        }
    }

    private void print(List<String> leaves, Set<Option> options) throws Exception {
        for (String leaf : leaves) {
            System.out.println(leaf + ": " + judgement(leaf, options));
        }
    }

    private String judgement(String leaf, Set<Option> options) throws Exception {
        var validator = CertPathValidator.getInstance("PKIX", "SUN");
        var parameters = new PKIXParameters(Set.of(new TrustAnchor(issuer, null)));
        var checker = (PKIXRevocationChecker) validator.getRevocationChecker();
        checker.setOptions(options);
        if (responder != null) {
            checker.setOcspResponderCert(responder);
            checker.setOcspResponder(url);
        }
        if (lists == null) {
            parameters.addCertPathChecker(checker);
        } else {
            // A checker of one's own asks the network too; without one the JDK has the lists it is given, and no more.
            parameters.addCertStore(CertStore.getInstance("Collection", new CollectionCertStoreParameters(lists)));
        }
        try {
            validator.validate(factory.generateCertPath(List.of(certificate(leaf))), parameters);
        } catch (CertPathValidatorException fault) {
            return said(fault);
        }
        // Option.SOFT_FAIL is never set; if it were, what was forgiven would stand here.
        return checker.getSoftFailExceptions().isEmpty() ? "valid" : "forgiven";
    }

    private static String said(CertPathValidatorException fault) {
        if (fault.getReason() == BasicReason.REVOKED && fault.getCause() instanceof CertificateRevokedException revoked) {
            return "revoked " + revoked.getRevocationReason() + " " + revoked.getRevocationDate().getTime() / 1000;
        }
        if (fault.getReason() == BasicReason.UNDETERMINED_REVOCATION_STATUS) {
            return "undetermined " + fault.getMessage();
        }
        return "invalid " + fault;
    }

    private X509Certificate certificate(String path) throws Exception {
        return (X509Certificate) factory.generateCertificate(Files.newInputStream(Path.of(path)));
    }

    private static final Set<Option> BY_LISTS =
        EnumSet.of(Option.PREFER_CRLS, Option.NO_FALLBACK, Option.ONLY_END_ENTITY);
}
