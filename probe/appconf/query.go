package appconf

import (
	"bytes"
	"regexp"
	"strings"
)

// EditURL changes a parameter in the query of the application's URL, where the URL gives it: in the .env variable
// DATABASE_URL, else in database.url of config.yaml. inURL tells whether it stands in the URL in force at all; ok whether
// it could be changed, which it cannot where the URL comes from the environment of the process.
func (f Files) EditURL(name, value string, outer Lookup) (out Files, ok, inURL bool) {
	param := regexp.MustCompile(`([?&]` + regexp.QuoteMeta(name) + `=)([0-9]+)`)
	if url, set := outer("DATABASE_URL"); set && strings.TrimSpace(url) != "" {
		return f, false, param.MatchString(url)
	}
	if vars, err := ParseEnv(f.Env); err == nil {
		if v, set := last(vars, "DATABASE_URL"); set && v.End > v.Start {
			env, done := replaceIn(f.Env, v.Start, v.End, param, value)
			f.Env = env
			return f, done, done
		}
	}
	d, err := Parse(f.Config)
	if err != nil {
		return f, false, false
	}
	s, set := d.Scalar("database.url")
	if !set || !param.MatchString(s.Text) {
		return f, false, false
	}
	if s.fixed != "" {
		return f, false, true
	}
	config, done := replaceIn(f.Config, s.Start, s.End, param, value)
	f.Config = config
	return f, done, true
}

// replaceIn changes the one match within data[start:end]; false when there is none or more than one.
func replaceIn(data []byte, start, end int, param *regexp.Regexp, value string) ([]byte, bool) {
	found := param.FindAllSubmatchIndex(data[start:end], -1)
	if len(found) != 1 {
		return data, false
	}
	from, to := start+found[0][4], start+found[0][5]
	return bytes.Join([][]byte{data[:from], []byte(value), data[to:]}, nil), true
}
