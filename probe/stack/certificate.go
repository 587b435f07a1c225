package stack

import (
	"crypto/x509"
	"encoding/pem"
	"os"
	"time"

	"pgfit/probe/pgconf"
)

// Certificate is what the file behind ssl_cert_file says, and the mode of the key's file.
type Certificate struct {
	Place             // of ssl_cert_file
	Key         Place // of ssl_key_file
	Days        int   // whole days until it expires, negative afterwards
	KeyReadable bool  // the key's group may write it, or others may read it
}

// readCertificate looks at the certificate of a postgresql.conf, nil where its file is not to be read here: a path in a
// container or on another machine. A relative path counts from the data directory, which may be that of the file.
func readCertificate(conf *pgconf.Tree, now time.Time) *Certificate {
	path, at := inForce(conf, "ssl_cert_file", "server.crt")
	data, err := os.ReadFile(path)
	block, _ := pem.Decode(data)
	if err != nil || block == nil {
		return nil
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil
	}
	c := &Certificate{Place: at, Days: int(cert.NotAfter.Sub(now).Hours() / 24)}
	if now.After(cert.NotAfter) {
		c.Days = min(c.Days, -1)
	}
	path, c.Key = inForce(conf, "ssl_key_file", "server.key")
	if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
		c.KeyReadable = info.Mode().Perm()&0o027 != 0
	}
	return c
}

// inForce is the path that a setting names, and the line that sets it.
func inForce(conf *pgconf.Tree, name, otherwise string) (string, Place) {
	p, ok := conf.InForce(name)
	if !ok {
		return beside(conf.Main.Path, otherwise), Place{File: conf.Main.Path}
	}
	return beside(conf.Main.Path, p.Value), Place{File: p.File.Path, Line: p.Line}
}
