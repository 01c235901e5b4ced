package testkit

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// NewTLSUpstream is [NewUpstream] over TLS, HTTP/1.1 only. The gateway trusts it with [TrustTLS] in
// its environment.
func NewTLSUpstream(t testing.TB, script func(x *Exchange)) *Upstream {
	t.Helper()
	cert, err := certificate()
	if err != nil {
		t.Fatal(err)
	}
	return start(t, tls.NewListener(listen(t), &tls.Config{Certificates: []tls.Certificate{cert}}), "https", script)
}

// TrustTLS is the environment of a gateway that trusts [NewTLSUpstream].
func TrustTLS(t testing.TB) string {
	t.Helper()
	cert, err := certificate()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Certificate[0]}), 0o600); err != nil {
		t.Fatal(err)
	}
	return "SSL_CERT_FILE=" + path
}

// certificate makes the one certificate of the test process, for 127.0.0.1.
var certificate = sync.OnceValues(func() (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
})
