package export

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strings"
)

// jsonString is a string in double quotes with JSON's escapes, which YAML's double quotes take too.
func jsonString(s string) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil { // a string can always be encoded
		panic(err)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// plainYAML are strings that every YAML reader takes for strings: no number, date, boolean, null.
var plainYAML = regexp.MustCompile(`^([0-9]+[kMGT]B|[0-9]+(ms|min)|[a-z_]+[a-z0-9_]*)$`)

var wordsYAML = map[string]bool{"on": true, "off": true, "yes": true, "no": true, "true": true, "false": true, "null": true, "y": true, "n": true}

// yamlValue writes integers bare and strings bare where nobody can mistake them.
func yamlValue(s string) string {
	if isNumber(s) || plainYAML.MatchString(s) && !wordsYAML[s] {
		return s
	}
	return jsonString(s)
}

// hcl is a string of Terraform's language. ${ and %{ would be templates.
func hcl(s string) string {
	r := strings.NewReplacer("${", "$${", "%{", "%%{")
	return r.Replace(jsonString(s))
}

// shell is a word of a POSIX shell.
func shell(s string) string {
	if s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.,=:/@%+") == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// shellName is a name that the user gave, or a variable that has to be set before the script runs.
func shellName(name, variable, what string) string {
	if name != "" {
		return shell(name)
	}
	return `"${` + variable + `:?` + what + `}"`
}

// or is s, or a default where s is empty.
func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}
