package cluster

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"os"
	"time"

	"github.com/colloquyhq/colloquy/conversation"
)

// Certificates are an operator's own for the links between nodes, instead of
// those that every node makes for itself from the cluster key.
type Certificates struct {
	Cert string // file with this node's certificate and its chain, PEM
	Key  string // file with its private key, PEM
	CA   string // file with the authorities that peers' certificates must come from, PEM; use one for this alone
	Name string // DNS name that peers' certificates must carry; empty = any of the authority's
}

// identity is what a node shows to its peers, and how it knows them.
type identity struct {
	gossip []byte // AES-256
	own    tls.Certificate
	roots  *x509.CertPool
	name   string
	fixed  time.Time // when certificates are judged; zero = now
}

func newIdentity(key, cluster string, id NodeID, given *Certificates) (*identity, error) {
	secret, err := keyBytes(key)
	if err != nil {
		return nil, err
	}
	c := &identity{}
	if c.gossip, err = derive(secret, cluster, "gossip"); err != nil {
		return nil, fmt.Errorf("derive the gossip key: %w", err)
	}
	if given != nil {
		return c, c.load(given)
	}
	seed, err := derive(secret, cluster, "authority")
	if err != nil {
		return nil, fmt.Errorf("derive the authority: %w", err)
	}
	return c, c.issue(ed25519.NewKeyFromSeed(seed), cluster, id)
}

func (c *identity) load(given *Certificates) error {
	var err error
	if c.own, err = tls.LoadX509KeyPair(given.Cert, given.Key); err != nil {
		return &conversation.Error{Code: conversation.CodeInvalid, Detail: "the node's certificate could not be read", Err: err}
	}
	pem, err := os.ReadFile(given.CA)
	if err != nil {
		return &conversation.Error{Code: conversation.CodeInvalid, Detail: "the cluster's authority could not be read", Err: err}
	}
	c.roots, c.name = x509.NewCertPool(), given.Name
	if !c.roots.AppendCertsFromPEM(pem) {
		return conversation.Refuse(conversation.CodeInvalid, "the file of the cluster's authority holds no certificate")
	}
	return nil
}

// issue makes a certificate for this run of the node. Who has the key can make
// another at any time, so that its dates mean nothing: they are wide, and
// judged at a fixed moment, because a node with a wrong clock is still a node.
func (c *identity) issue(authority ed25519.PrivateKey, cluster string, id NodeID) error {
	from := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	to := time.Date(2120, 1, 1, 0, 0, 0, 0, time.UTC)
	c.fixed = time.Date(2070, 1, 1, 0, 0, 0, 0, time.UTC)
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "colloquy cluster " + cluster},
		NotBefore: from, NotAfter: to, IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true,
		KeyUsage: x509.KeyUsageCertSign,
	}
	root, err := x509.CreateCertificate(rand.Reader, ca, ca, authority.Public(), authority)
	if err != nil {
		return fmt.Errorf("make the cluster's authority: %w", err)
	}
	parsed, err := x509.ParseCertificate(root)
	if err != nil {
		return fmt.Errorf("read the cluster's authority: %w", err)
	}
	c.roots = x509.NewCertPool()
	c.roots.AddCert(parsed)

	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return fmt.Errorf("make a key: %w", err)
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return fmt.Errorf("make a serial number: %w", err)
	}
	leaf := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: string(id)}, DNSNames: []string{string(id)},
		NotBefore: from, NotAfter: to, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	signed, err := x509.CreateCertificate(rand.Reader, leaf, parsed, public, authority)
	if err != nil {
		return fmt.Errorf("make the node's certificate: %w", err)
	}
	c.own = tls.Certificate{Certificate: [][]byte{signed}, PrivateKey: private}
	return nil
}

// config is for both ends of a connection: the one who dials and the one who
// answers show a certificate of the cluster. Names are not compared with
// addresses, which come and go; who has a certificate of this authority belongs
// to the cluster.
//
// Sessions are not resumed: connections live long, and a ticket would be one
// more secret.
func (c *identity) config(protocols ...string) *tls.Config {
	return &tls.Config{
		MinVersion:             tls.VersionTLS13,
		Certificates:           []tls.Certificate{c.own},
		NextProtos:             protocols,
		ClientAuth:             tls.RequireAnyClientCert,
		InsecureSkipVerify:     true, //nolint:gosec // verify does it, for both ends and without names
		VerifyConnection:       c.verify,
		SessionTicketsDisabled: true,
	}
}

func (c *identity) verify(s tls.ConnectionState) error {
	if len(s.PeerCertificates) == 0 {
		return errors.New("the peer shows no certificate")
	}
	between := x509.NewCertPool()
	for _, cert := range s.PeerCertificates[1:] {
		between.AddCert(cert)
	}
	_, err := s.PeerCertificates[0].Verify(x509.VerifyOptions{
		DNSName: c.name, Roots: c.roots, Intermediates: between, CurrentTime: c.fixed,
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	})
	if err != nil {
		return fmt.Errorf("the peer does not belong to this cluster: %w", err)
	}
	return nil
}
