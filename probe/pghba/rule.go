package pghba

import (
	"slices"
	"strings"
)

// types are the connection types; gss is refused only where a build lacks it, which cannot be told from here.
var types = []string{Local, Host, HostSSL, HostNoSSL, HostGSS, HostNoGSS}

// methods are the authentication methods; oauth came with 18.
var methods = []string{"trust", "ident", "peer", "password", "gss", "sspi", "reject", "md5", "scram-sha-256", "pam", "bsd", "ldap", "cert", "radius"}

// optionsOf says which methods take an option; nil is any. Names that are not here are refused.
var optionsOf = map[string][]string{
	"map": {"ident", "peer", "gss", "sspi", "cert", "oauth"}, "clientcert": nil, "clientname": nil, "pamservice": {"pam"}, "pam_use_hostname": {"pam"},
	"ldapurl": {"ldap"}, "ldaptls": {"ldap"}, "ldapscheme": {"ldap"}, "ldapserver": {"ldap"}, "ldapport": {"ldap"}, "ldapbinddn": {"ldap"},
	"ldapbindpasswd": {"ldap"}, "ldapsearchattribute": {"ldap"}, "ldapsearchfilter": {"ldap"}, "ldapbasedn": {"ldap"}, "ldapprefix": {"ldap"},
	"ldapsuffix": {"ldap"}, "krb_realm": {"gss", "sspi"}, "include_realm": {"gss", "sspi"}, "compat_realm": {"sspi"}, "upn_username": {"sspi"},
	"radiusservers": {"radius"}, "radiusports": {"radius"}, "radiussecrets": {"radius"}, "radiusidentifiers": {"radius"},
	"issuer": {"oauth"}, "scope": {"oauth"}, "validator": {"oauth"}, "delegate_ident_mapping": {"oauth"},
}

// rule is parse_hba_line of hba.c. The first error ends it, as it does there.
func (rec record) rule(major int) Rule {
	r := Rule{File: rec.file, Line: rec.first, Last: rec.last, Error: rec.err, Fields: rec.fields, major: major}
	if r.Error != "" {
		return r
	}
	next := r.parseWho(rec.fields)
	if r.Error == "" && r.Type != Local {
		next = r.parseAddress(rec.fields)
	}
	if r.Error == "" {
		r.parseMethod(rec.fields, next)
	}
	return r
}

// parseWho reads type, databases and users.
func (r *Rule) parseWho(f []Field) int {
	switch {
	case len(f[0].Tokens) > 1:
		r.Error = "multiple values specified for connection type"
	case !slices.Contains(types, f[0].Tokens[0].Text):
		r.Error = `invalid connection type "` + f[0].Tokens[0].Text + `"`
	case len(f) < 2:
		r.Error = "end-of-line before database specification"
	default:
		r.parseNames(f)
	}
	return 3
}

// parseNames goes in the server's order: what is wrong with a database comes before a role that is not there.
func (r *Rule) parseNames(f []Field) {
	switch r.regexps(f[1].Tokens); {
	case r.Error != "":
	case len(f) < 3:
		r.Error = "end-of-line before role specification"
	default:
		r.Type, r.Databases, r.Users = f[0].Tokens[0].Text, f[1].Tokens, f[2].Tokens
		r.regexps(r.Users)
	}
}

func (r *Rule) parseMethod(f []Field, at int) {
	if len(f) <= at {
		r.Error = "end-of-line before authentication method"
		return
	}
	if len(f[at].Tokens) > 1 {
		r.Error = "multiple values specified for authentication type"
		return
	}
	m := f[at].Tokens[0].Text
	switch {
	case !slices.Contains(methods, m) && !(m == "oauth" && r.major >= 18):
		r.Error = `invalid authentication method "` + m + `"`
		return
	case m == "ident" && r.Type == Local:
		m = "peer" // what the server makes of it
	case m == "gss" && r.Type == Local:
		r.Error = "gssapi authentication is not supported on local sockets"
		return
	case m == "peer" && r.Type != Local:
		r.Error = "peer authentication is only supported on local sockets"
		return
	case m == "cert" && r.Type != HostSSL:
		r.Error = "cert authentication is only supported on hostssl connections"
		return
	}
	r.Method = m
	for _, field := range f[at+1:] {
		for _, t := range field.Tokens {
			if r.Error == "" {
				r.option(t.Text)
			}
		}
	}
	if r.Error == "" {
		r.Error = r.required()
	}
}

// option is parse_hba_auth_opt of hba.c. No value is quoted in an error: it may be a password.
func (r *Rule) option(text string) {
	name, value, ok := strings.Cut(text, "=")
	if !ok {
		r.Error = "authentication option not in name=value format: " + text
		return
	}
	only, known := optionsOf[name]
	switch {
	case !known, name == "clientname" && r.major < 14, only != nil && only[0] == "oauth" && r.major < 18:
		r.Error = `unrecognized authentication option name: "` + name + `"`
	case only != nil && !slices.Contains(only, r.Method):
		r.Error = `authentication option "` + name + `" is only valid for authentication methods ` + strings.Join(only, ", ")
	case (name == "clientcert" || name == "clientname") && r.Type != HostSSL:
		r.Error = name + ` can only be configured for "hostssl" rows`
	case name == "clientcert" && r.Method == "cert" && value == "verify-ca" && r.major >= 14:
		r.Error = `clientcert can only be set to "verify-full" when using "cert" authentication`
	case name == "clientcert" && !r.clientCert(value):
		r.Error = `invalid value for clientcert: "` + value + `"`
	case name == "clientname" && value != "CN" && value != "DN":
		r.Error = `invalid value for clientname: "` + value + `"`
	case name == "ldapscheme" && value != "ldap" && value != "ldaps":
		r.Error = `invalid ldapscheme value: "` + value + `"`
	default:
		r.Options = append(r.Options, Option{name, value})
	}
}

// clientCert: 13 still had numbers, and with cert it took anything but none.
func (r *Rule) clientCert(value string) bool {
	switch value {
	case "verify-full", "verify-ca":
		return true
	case "1":
		return r.major < 14
	case "0", "no-verify":
		return r.major < 14 && r.Method != "cert"
	}
	return false
}

// required checks what a method cannot do without. The reasons are shortened. Without ldapserver OpenLDAP asks the DNS.
func (r *Rule) required() string {
	has := func(name string) bool { v, ok := r.Option(name); return ok && v != "" }
	switch r.Method {
	case "ldap":
		simple := has("ldapprefix") || has("ldapsuffix")
		search := has("ldapbasedn") || has("ldapbinddn") || has("ldapbindpasswd") || has("ldapsearchattribute") || has("ldapsearchfilter")
		switch {
		case has("ldapurl"):
			return ""
		case simple && search:
			return "cannot use ldapprefix or ldapsuffix together with the options of a search"
		case !simple && !has("ldapbasedn"):
			return `authentication method "ldap" requires argument "ldapbasedn", "ldapprefix", or "ldapsuffix" to be set`
		}
		if has("ldapsearchattribute") && has("ldapsearchfilter") {
			return "cannot use ldapsearchattribute together with ldapsearchfilter"
		}
	case "radius":
		for _, name := range []string{"radiusservers", "radiussecrets"} {
			if !has(name) {
				return `authentication method "radius" requires argument "` + name + `" to be set`
			}
		}
	case "oauth":
		for _, name := range []string{"issuer", "scope"} {
			if !has(name) {
				return `authentication method "oauth" requires argument "` + name + `" to be set`
			}
		}
	}
	return ""
}
