import java.io.InputStreamReader;
import java.math.BigInteger;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyPair;
import java.security.KeyPairGenerator;
import java.security.MessageDigest;
import java.security.Security;
import java.security.cert.CertPathValidator;
import java.security.cert.CertStore;
import java.security.cert.CertificateFactory;
import java.security.cert.CollectionCertStoreParameters;
import java.security.cert.PKIXParameters;
import java.security.cert.TrustAnchor;
import java.security.cert.X509Certificate;
import java.security.spec.ECGenParameterSpec;
import java.util.ArrayList;
import java.util.Base64;
import java.util.Date;
import java.util.HexFormat;
import java.util.List;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import org.bouncycastle.asn1.ASN1OctetString;
import org.bouncycastle.asn1.ocsp.OCSPObjectIdentifiers;
import org.bouncycastle.asn1.x500.X500Name;
import org.bouncycastle.asn1.x509.AlgorithmIdentifier;
import org.bouncycastle.asn1.x509.ExtendedKeyUsage;
import org.bouncycastle.asn1.x509.Extension;
import org.bouncycastle.asn1.x509.KeyPurposeId;
import org.bouncycastle.asn1.x509.ReasonFlags;
import org.bouncycastle.asn1.ASN1Enumerated;
import org.bouncycastle.cert.X509CRLEntryHolder;
import org.bouncycastle.cert.X509CRLHolder;
import org.bouncycastle.cert.X509CertificateHolder;
import org.bouncycastle.cert.ocsp.BasicOCSPResp;
import org.bouncycastle.cert.ocsp.CertificateStatus;
import org.bouncycastle.cert.ocsp.OCSPResp;
import org.bouncycastle.cert.ocsp.RevokedStatus;
import org.bouncycastle.cert.ocsp.SingleResp;
import org.bouncycastle.jcajce.PKIXExtendedParameters;
import org.bouncycastle.jce.provider.BouncyCastleProvider;
import org.bouncycastle.openssl.PEMParser;
import org.bouncycastle.operator.ContentVerifierProvider;
import org.bouncycastle.operator.jcajce.JcaContentSignerBuilder;
import org.bouncycastle.operator.jcajce.JcaContentVerifierProviderBuilder;
import org.bouncycastle.pkcs.PKCS10CertificationRequest;
import org.bouncycastle.pkcs.jcajce.JcaPKCS10CertificationRequestBuilder;

/** BouncyCastle's opinion of octets of ours: it verifies each signature and prints what it read, a fact a line. */
public final class Judge {
    public static void main(String[] arguments) throws Exception {
        Security.addProvider(new BouncyCastleProvider());
        switch (arguments[0]) {
            case "certificate" -> certificate(arguments[1], arguments[2]);
            case "crl" -> crl(arguments[1], arguments[2]);
            case "request" -> request(arguments[1]);
            case "make-request" -> makeRequest(arguments[1], arguments[2], arguments[3]);
            case "ocsp" -> ocsp(arguments[1], arguments[2]);
            case "path" -> path(arguments);
            default -> throw new IllegalArgumentException(arguments[0]);
        }
    }

    /** A certificate is signed by its issuer's key. */
    private static void certificate(String path, String issuerPath) throws Exception {
        X509CertificateHolder certificate = certificateIn(path);
        X509CertificateHolder issuer = certificateIn(issuerPath);
        must(certificate.getIssuer().equals(issuer.getSubject()), "the issuer's name differs");
        must(certificate.isSignatureValid(verifier(issuer)), "the certificate's signature is wrong");
        System.out.println("serial " + certificate.getSerialNumber().toString(16));
        System.out.println("algorithm " + certificate.getSignatureAlgorithm().getAlgorithm());
        var oids = new TreeSet<String>();
        for (Object oid : certificate.getExtensionOIDs()) {
            oids.add(oid.toString());
        }
        oids.forEach(oid -> System.out.println("extension " + oid));
    }

    /** A CRL is signed by its issuer's key; its entries in order of serial. */
    private static void crl(String path, String issuerPath) throws Exception {
        X509CRLHolder crl = new X509CRLHolder(Files.readAllBytes(Path.of(path)));
        X509CertificateHolder issuer = certificateIn(issuerPath);
        must(crl.getIssuer().equals(issuer.getSubject()), "the issuer's name differs");
        must(crl.isSignatureValid(verifier(issuer)), "the CRL's signature is wrong");
        var entries = new TreeMap<BigInteger, String>();
        for (Object each : crl.getRevokedCertificates()) {
            X509CRLEntryHolder entry = (X509CRLEntryHolder) each;
            Extension reason = entry.getExtension(Extension.reasonCode);
            String why = reason == null ? "none" : ASN1Enumerated.getInstance(reason.getParsedValue()).getValue().toString();
            entries.put(entry.getSerialNumber(), seconds(entry.getRevocationDate()) + " " + why);
        }
        entries.forEach((serial, said) -> System.out.println("revoked " + serial.toString(16) + " " + said));
    }

    /**
     * Whether a certificate is valid by these lists (DER), deltas among them, under its issuer's certificate: valid, revoked,
     * or undecided and why. The JDK's own validator is asked by {@link Pkix}.
     */
    private static void path(String[] arguments) throws Exception {
        System.out.println("BC " + judgement(arguments));
    }

    private static String judgement(String[] arguments) {
        try {
            var factory = CertificateFactory.getInstance("X.509", "BC");
            var leaf = (X509Certificate) factory.generateCertificate(Files.newInputStream(Path.of(arguments[1])));
            var issuer = (X509Certificate) factory.generateCertificate(Files.newInputStream(Path.of(arguments[2])));
            var lists = new ArrayList<Object>();
            for (int at = 3; at < arguments.length; at++) {
                lists.add(factory.generateCRL(Files.newInputStream(Path.of(arguments[at]))));
            }
            var store = CertStore.getInstance("Collection", new CollectionCertStoreParameters(lists));
            var parameters = new PKIXParameters(Set.of(new TrustAnchor(issuer, null)));
            parameters.setRevocationEnabled(true);
            parameters.addCertStore(store);
            var path = factory.generateCertPath(List.of(leaf));
            var extended = new PKIXExtendedParameters.Builder(parameters).setUseDeltasEnabled(true).build();
            CertPathValidator.getInstance("PKIX", "BC").validate(path, extended);
            return "valid";
        } catch (Exception fault) {
            String why = "";
            for (Throwable cause = fault; cause != null; cause = cause.getCause()) {
                why += " / " + cause;
            }
            return (why.toLowerCase().contains("revocation after") ? "revoked" : "undecided") + why.replace('\n', ' ');
        }
    }

    /** A CSR is signed by the key it asks for. */
    private static void request(String path) throws Exception {
        PKCS10CertificationRequest request = (PKCS10CertificationRequest) pem(path);
        ContentVerifierProvider verifier =
            new JcaContentVerifierProviderBuilder().setProvider("BC").build(request.getSubjectPublicKeyInfo());
        must(request.isSignatureValid(verifier), "the request's signature is wrong");
        System.out.println("algorithm " + request.getSignatureAlgorithm().getAlgorithm());
    }

    /** Makes a key and a CSR for it, as a holder's own software would: `p256` or `sm2`, a subject, a file to write. */
    private static void makeRequest(String kind, String subject, String path) throws Exception {
        KeyPairGenerator generator = KeyPairGenerator.getInstance("EC", "BC");
        generator.initialize(new ECGenParameterSpec(kind.equals("sm2") ? "sm2p256v1" : "secp256r1"));
        KeyPair pair = generator.generateKeyPair();
        String algorithm = kind.equals("sm2") ? "SM3WITHSM2" : "SHA256WITHECDSA";
        PKCS10CertificationRequest request =
            new JcaPKCS10CertificationRequestBuilder(new X500Name(subject), pair.getPublic())
                .build(new JcaContentSignerBuilder(algorithm).setProvider("BC").build(pair.getPrivate()));
        String body = Base64.getMimeEncoder(64, new byte[] {'\n'}).encodeToString(request.getEncoded());
        Files.writeString(
            Path.of(path), "-----BEGIN CERTIFICATE REQUEST-----\n" + body + "\n-----END CERTIFICATE REQUEST-----\n");
    }

    /** A response is signed by a responder to whom the issuer delegated that; what it says, certificate by certificate. */
    private static void ocsp(String path, String issuerPath) throws Exception {
        OCSPResp response = new OCSPResp(Files.readAllBytes(Path.of(path)));
        System.out.println("status " + response.getStatus());
        if (response.getStatus() != OCSPResp.SUCCESSFUL) {
            return;
        }
        BasicOCSPResp basic = (BasicOCSPResp) response.getResponseObject();
        X509CertificateHolder issuer = certificateIn(issuerPath);
        must(basic.getCerts().length > 0, "no responder certificate inside");
        X509CertificateHolder responder = basic.getCerts()[0];
        must(basic.isSignatureValid(verifier(responder)), "the response's signature is wrong");
        must(responder.getIssuer().equals(issuer.getSubject()), "the responder has another issuer");
        must(responder.isSignatureValid(verifier(issuer)), "the responder's certificate is not signed by the issuer");
        must(responder.isValidOn(new Date()), "the responder's certificate is not valid now");
        must(
            ExtendedKeyUsage.fromExtensions(responder.getExtensions()).hasKeyPurposeId(KeyPurposeId.id_kp_OCSPSigning),
            "the responder may not sign OCSP");
        must(responder.getExtension(OCSPObjectIdentifiers.id_pkix_ocsp_nocheck) != null, "no ocsp-nocheck");
        byte[] keyHash = basic.getResponderId().toASN1Primitive().getKeyHash();
        byte[] key = responder.getSubjectPublicKeyInfo().getPublicKeyData().getBytes();
        must(
            keyHash != null && MessageDigest.isEqual(keyHash, MessageDigest.getInstance("SHA-1").digest(key)),
            "the responder is not named by its key");
        System.out.println("algorithm " + basic.getSignatureAlgorithmID().getAlgorithm());
        Extension nonce = basic.getExtension(OCSPObjectIdentifiers.id_pkix_ocsp_nonce);
        if (nonce != null) {
            must(!nonce.isCritical(), "the nonce is critical");
            byte[] octets = ASN1OctetString.getInstance(nonce.getParsedValue()).getOctets();
            System.out.println("nonce " + HexFormat.of().formatHex(octets));
        }
        for (SingleResp single : basic.getResponses()) {
            System.out.println("serial " + single.getCertID().getSerialNumber().toString(16));
            AlgorithmIdentifier hash = single.getCertID().toASN1Primitive().getHashAlgorithm();
            System.out.println("hash " + hash.getAlgorithm() + (hash.getParameters() == null ? "" : " NULL"));
            must(single.getNextUpdate() != null, "no nextUpdate");
            must(single.getThisUpdate().getTime() <= System.currentTimeMillis() + 300_000, "thisUpdate lies ahead");
            must(single.getNextUpdate().after(new Date()), "nextUpdate has passed");
            CertificateStatus status = single.getCertStatus();
            if (status == CertificateStatus.GOOD) {
                System.out.println("good");
            } else if (status instanceof RevokedStatus revoked) {
                String why = revoked.hasRevocationReason() ? String.valueOf(revoked.getRevocationReason()) : "none";
                System.out.println("revoked " + seconds(revoked.getRevocationTime()) + " " + why);
            } else {
                System.out.println("unknown");
            }
        }
    }

    private static ContentVerifierProvider verifier(X509CertificateHolder signer) throws Exception {
        return new JcaContentVerifierProviderBuilder().setProvider("BC").build(signer);
    }

    private static X509CertificateHolder certificateIn(String path) throws Exception {
        return (X509CertificateHolder) pem(path);
    }

    private static Object pem(String path) throws Exception {
        try (var reader = new InputStreamReader(Files.newInputStream(Path.of(path)))) {
            return new PEMParser(reader).readObject();
        }
    }

    private static long seconds(Date date) {
        return date.getTime() / 1000;
    }

    private static void must(boolean holds, String otherwise) {
        if (!holds) {
            System.out.println("wrong: " + otherwise);
            System.exit(1);
        }
    }
}
