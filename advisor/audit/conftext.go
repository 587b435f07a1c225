package audit

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// weakCiphers are OpenSSL's names for what nobody should speak any more, or for groups that contain such.
var weakCiphers = []string{
	"LOW", "MEDIUM", "EXP", "EXPORT", "NULL", "ENULL", "ANULL", "ADH", "AECDH", "RC4", "RC2", "MD5", "DES", "3DES", "IDEA", "SEED", "PSK", "ALL", "COMPLEMENTOFALL",
	"COMPLEMENTOFDEFAULT",
}

// ciphers reads an OpenSSL cipher list: what it adds, and whether it shuts out ciphers without authentication.
func (r *runner) ciphers() {
	set, ok := r.set.Settings["ssl_ciphers"]
	if !ok || set.Value == "none" || !r.set.On("ssl") && r.set.place["ssl_ciphers"].File == "" {
		return
	}
	r.look("conf.ssl-ciphers")
	var weak []string
	groups, noNull := false, false
	for _, word := range strings.FieldsFunc(set.Value, func(c rune) bool { return c == ':' || c == ',' || c == ' ' }) {
		name := strings.ToUpper(strings.TrimLeft(word, "!-+@"))
		switch word[0] {
		case '!', '-':
			noNull = noNull || name == "ANULL"
		case '+', '@': // moves what is there
		default:
			groups = groups || !strings.Contains(name, "-")
			if slices.ContainsFunc(strings.Split(name, "+"), func(part string) bool { return slices.Contains(weakCiphers, part) }) {
				weak = append(weak, word)
			}
		}
	}
	switch {
	case len(weak) > 0:
		r.find("conf.ssl-ciphers", r.set.where("ssl_ciphers"), fmt.Sprintf("ssl_ciphers lets in %s", list(weak)))
	case groups && !noNull:
		r.find("conf.ssl-ciphers", r.set.where("ssl_ciphers"), "ssl_ciphers does not shut out ciphers without authentication: !aNULL")
	}
}

// escapes of log_line_prefix, with their padding.
var escapes = regexp.MustCompile(`%-?[0-9]*([a-zA-Z%])`)

// prefix wants time, process, user and database in each line of a log that people read. CSV and JSON have them anyway.
func (r *runner) prefix() {
	set, ok := r.set.Settings["log_line_prefix"]
	if dest := words(r.set.Text("log_destination")); !ok || !slices.Contains(dest, "stderr") && !slices.Contains(dest, "syslog") {
		return
	}
	r.look("conf.log-line-prefix")
	has := ""
	for _, m := range escapes.FindAllStringSubmatch(set.Value, -1) {
		has += m[1]
	}
	var lacks []string
	for _, want := range [][2]string{{"tmns", "the time (%m)"}, {"pc", "the process (%p)"}, {"u", "the user (%u)"}, {"d", "the database (%d)"}} {
		if !strings.ContainsAny(has, want[0]) {
			lacks = append(lacks, want[1])
		}
	}
	if len(lacks) > 0 {
		r.find("conf.log-line-prefix", r.set.where("log_line_prefix"), "log_line_prefix lacks "+list(lacks))
	}
}
