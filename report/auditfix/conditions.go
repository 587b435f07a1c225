package auditfix

import (
	"fmt"
	"strings"

	"pgfit/advisor/audit"
	"pgfit/probe"
	"pgfit/probe/stack"
)

// byDisk are the values that suit a class of disk, by the same source as the checks (house guide, Query Planner).
var byDisk = map[string]map[probe.Class]string{
	"random_page_cost":         {probe.HDD: "4.0", probe.SSD: "1.1", probe.NVMe: "1.1"},
	"effective_io_concurrency": {probe.HDD: "2", probe.SSD: "200", probe.NVMe: "200"},
}

// value is what a patch of postgresql.conf writes for a finding, with what has to be so before it is applied; or why the
// patch leaves it out: what cannot be known to be safe.
func value(f audit.Finding, s *stack.Stack, disk probe.Class) (text, before, why string) {
	set := func(name string) string {
		p, _ := s.Conf.InForce(name)
		return strings.TrimSpace(p.Value)
	}
	switch f.Setting {
	case "ssl":
		cert, key := set("ssl_cert_file"), set("ssl_key_file")
		if cert == "" || key == "" {
			return "", "", "the server would not start without a certificate, and the file names none: set ssl_cert_file and ssl_key_file first"
		}
		return f.Value, fmt.Sprintf("ssl = on: the server does not start unless %s and %s are there and its own", cert, key), ""
	case "shared_preload_libraries": // the value is one more of a list
		if now := set(f.Setting); now != "" {
			text = now + ", "
		}
		return text + f.Value, fmt.Sprintf("shared_preload_libraries: the server does not start unless %s is installed (PostgreSQL's contrib package)", f.Value), ""
	}
	if values, ok := byDisk[f.Setting]; ok {
		if text = values[disk]; text == "" {
			return "", "", "the right value depends on the disk, which is not known: name it with --disk"
		}
		return text, "", ""
	}
	return f.Value, "", ""
}

// login is what has to be so before a rule of pg_hba.conf asks for scram-sha-256.
func login(f audit.Finding) string {
	at := fmt.Sprintf("line %d: ", f.Line)
	if f.Check == "hba.trust" || f.Check == "hba.ident" {
		return at + "a role without a password cannot log in by it any more, the superuser on this machine included: give each role a password first"
	}
	return at + "a role whose password is stored as md5 cannot log in by it any more: set it anew with password_encryption = scram-sha-256 first; " +
		"they are SELECT rolname FROM pg_authid WHERE rolpassword LIKE 'md5%'"
}

// headed puts what has to be so before a patch is applied at its head, where patch and git pass it over.
func headed(patch []byte, before []string) []byte {
	if len(patch) == 0 || len(before) == 0 {
		return patch
	}
	return []byte("# Before you apply this:\n# - " + strings.Join(before, "\n# - ") + "\n" + string(patch))
}
