package stack

import (
	"bytes"
	"net/netip"
	"os"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"pgfit/probe/appconf"
	"pgfit/probe/target"
)

// Compose is a compose file: the services that run PostgreSQL.
type Compose struct {
	File     string
	Problems []Problem
	Services []Service
}

// Service is a service whose image is PostgreSQL.
type Service struct {
	Place
	Name        string
	Image       Value
	Ports       []Port
	Env         map[string]EnvValue
	HealthCheck bool
	Command     string
	Mounts      []Mount
	Network     Value   // network_mode
	Memory      int64   // limit in bytes, 0 without one
	EnvFiles    []Value // env_file, from the directory of the compose file
	EnvUnread   bool    // one of them is not there, or not for us to read
}

// EnvValue is a variable that the service gets. Text is empty for a secret.
type EnvValue struct {
	Place
	Text    string
	Literal bool // a secret that is written out
	Weak    bool // one that everybody tries first
}

// Port is a published port.
type Port struct {
	Place
	Text   string
	Target string // the container's
	Open   bool   // published on other addresses than loopback
}

// Mount is a file or volume in the container.
type Mount struct {
	Place
	Source, Target string
}

// Major is the major version that the image's tag names, 0 when it names none.
func (s Service) Major() int {
	m := tagMajor.FindStringSubmatch(s.Image.Text)
	if m == nil {
		return 0
	}
	n, _ := strconv.Atoi(m[1])
	return n
}

var (
	tagMajor  = regexp.MustCompile(`(?:[:-]pg|:)(\d{2})(?:[.-]|$)`)
	secretKey = regexp.MustCompile(`(?i)(password|passwd|_pw|secret)$`)
	imageName = regexp.MustCompile(`^(postgres|postgresql|postgis|pgvector|timescaledb|timescaledb-ha|alpine-postgres)$`)
)

// ParseCompose reads a compose file. Variables in it are looked at as text: ${VAR} is not written out, its default is.
func ParseCompose(file string, data []byte) Compose {
	c := Compose{File: file}
	var root yaml.Node
	if err := decodeYAML(data, &root); err != nil || len(root.Content) == 0 {
		c.Problems = []Problem{{Place{File: file}, "it cannot be read as YAML"}}
		return c
	}
	services := child(root.Content[0], "services")
	if services == nil || services.Kind != yaml.MappingNode {
		c.Problems = []Problem{{Place{File: file}, "it has no services"}}
		return c
	}
	for i := 0; i+1 < len(services.Content); i += 2 {
		name, body := services.Content[i], follow(services.Content[i+1])
		if s := readService(file, name, body); s.isPostgres() {
			c.Services = append(c.Services, s)
		}
	}
	return c
}

// isPostgres goes by the image; where one is built here, by where its data lie, or by its port. An application gets
// POSTGRES_PASSWORD as well.
func (s Service) isPostgres() bool {
	if s.Image.Text != "" {
		return imageName.MatchString(path.Base(repository(s.Image.Text)))
	}
	return slices.ContainsFunc(s.Mounts, func(m Mount) bool { return strings.HasPrefix(m.Target, "/var/lib/postgresql") }) ||
		slices.ContainsFunc(s.Ports, func(p Port) bool { return p.Target == "5432" })
}

func decodeYAML(data []byte, root *yaml.Node) (err error) {
	defer func() {
		if recover() != nil { // yaml panics on a few broken inputs
			err = appconf.ErrSyntax
		}
	}()
	return yaml.NewDecoder(bytes.NewReader(data)).Decode(root)
}

// repository is an image without its tag and digest.
func repository(image string) string {
	image, _, _ = strings.Cut(image, "@")
	if i := strings.LastIndexByte(image, ':'); i > strings.LastIndexByte(image, '/') {
		image = image[:i]
	}
	return image
}

// follow goes through aliases.
func follow(n *yaml.Node) *yaml.Node {
	for depth := 0; n != nil && n.Kind == yaml.AliasNode && depth < 20; depth++ {
		n = n.Alias
	}
	return n
}

// child is a key of a mapping, also one that << merges in.
func child(n *yaml.Node, key string) *yaml.Node { return childDepth(n, key, 0) }

func childDepth(n *yaml.Node, key string, depth int) *yaml.Node {
	if n = follow(n); n == nil || n.Kind != yaml.MappingNode || depth > 20 {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return follow(n.Content[i+1])
		}
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value != "<<" {
			continue
		}
		for _, one := range merged(n.Content[i+1]) {
			if got := childDepth(one, key, depth+1); got != nil {
				return got
			}
		}
	}
	return nil
}

// merged are the mappings that << merges in: one, or a list of them.
func merged(n *yaml.Node) []*yaml.Node {
	if n = follow(n); n != nil && n.Kind == yaml.SequenceNode {
		return n.Content
	}
	return []*yaml.Node{n}
}

// plainText puts the defaults of variables in place.
func plainText(n *yaml.Node) string {
	if n = follow(n); n == nil || n.Kind != yaml.ScalarNode {
		return ""
	}
	text, err := appconf.Expand(n.Value, func(string) (string, bool) { return "", false })
	if err != nil {
		return ""
	}
	return text
}

func readService(file string, name, body *yaml.Node) Service {
	s := Service{Place: Place{file, name.Line}, Name: name.Value, Env: map[string]EnvValue{}}
	if image := child(body, "image"); image != nil {
		s.Image = Value{Place: Place{file, image.Line}, Text: plainText(image)}
	}
	if h := child(body, "healthcheck"); h != nil {
		test := items(child(h, "test"))
		s.HealthCheck = plainText(child(h, "disable")) != "true" && len(test) > 0 && test[0].Value != "NONE"
	}
	if m := child(body, "network_mode"); m != nil {
		s.Network = Value{Place: Place{file, m.Line}, Text: plainText(m)}
	}
	s.Memory = memoryLimit(body)
	for _, f := range items(child(body, "env_file")) {
		text := f
		if f.Kind == yaml.MappingNode {
			text = child(f, "path")
		}
		s.EnvFiles = append(s.EnvFiles, Value{Place: Place{file, f.Line}, Text: plainText(text)})
	}
	for _, word := range items(child(body, "command")) {
		s.Command += plainText(word) + " "
	}
	for _, p := range items(child(body, "ports")) {
		s.Ports = append(s.Ports, readPort(file, p))
	}
	for _, v := range items(child(body, "volumes")) {
		m := Mount{Place: Place{file, v.Line}}
		if v.Kind == yaml.MappingNode {
			m.Source, m.Target = plainText(child(v, "source")), plainText(child(v, "target"))
		} else if parts := strings.Split(plainText(v), ":"); len(parts) > 1 {
			m.Source, m.Target = parts[0], parts[1]
		} else {
			m.Target = parts[0]
		}
		s.Mounts = append(s.Mounts, m)
	}
	s.environment(file, child(body, "environment"), 0)
	return s
}

// memoryLimit is mem_limit, or deploy.resources.limits.memory, in bytes.
func memoryLimit(body *yaml.Node) int64 {
	limit := child(body, "mem_limit")
	if limit == nil {
		limit = child(child(child(child(body, "deploy"), "resources"), "limits"), "memory")
	}
	m := size.FindStringSubmatch(strings.ToLower(strings.TrimSpace(plainText(limit))))
	if m == nil {
		return 0
	}
	n, err := strconv.ParseFloat(m[1], 64)
	if n *= units[m[2]]; err != nil || n > 1<<50 {
		return 0
	}
	return int64(n)
}

var units = map[string]float64{"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}

// size is one of Compose's: 512m, 1.5gb, 1073741824, 100b.
var size = regexp.MustCompile(`^([0-9]+(?:\.[0-9]+)?)([kmgt]?)i?b?$`)

// items are the elements of a list, or the one scalar.
func items(n *yaml.Node) []*yaml.Node {
	if n = follow(n); n == nil {
		return nil
	}
	if n.Kind == yaml.ScalarNode {
		return []*yaml.Node{n}
	}
	if n.Kind != yaml.SequenceNode {
		return nil
	}
	var out []*yaml.Node
	for _, one := range n.Content {
		out = append(out, follow(one))
	}
	return out
}

// environment reads the mapping, with what << merges in below it, or the list.
func (s *Service) environment(file string, n *yaml.Node, depth int) {
	if n = follow(n); n == nil || depth > 20 {
		return
	}
	if n.Kind == yaml.MappingNode {
		for i := 0; i+1 < len(n.Content); i += 2 {
			if n.Content[i].Value != "<<" {
				s.variable(Place{file, n.Content[i].Line}, n.Content[i].Value, plainText(n.Content[i+1]))
				continue
			}
			for _, one := range merged(n.Content[i+1]) {
				below := Service{Env: map[string]EnvValue{}}
				below.environment(file, one, depth+1)
				for name, v := range below.Env {
					if _, has := s.Env[name]; !has {
						s.Env[name] = v
					}
				}
			}
		}
		return
	}
	for _, one := range items(n) {
		name, value, _ := strings.Cut(one.Value, "=")
		value, err := appconf.Expand(value, func(string) (string, bool) { return "", false })
		if err == nil {
			s.variable(Place{file, one.Line}, name, value)
		}
	}
}

// readEnvFiles adds what env_file names and environment does not. A file is seldom there before the stack is deployed.
func (s *Service) readEnvFiles() {
	for _, f := range s.EnvFiles {
		path := beside(f.File, f.Text)
		data, err := os.ReadFile(path)
		if err != nil {
			s.EnvUnread = true
			continue
		}
		env, err := appconf.ReadEnv(data, func(string) (string, bool) { return "", false })
		if err != nil {
			s.EnvUnread = true
			continue
		}
		for _, name := range env.Names() {
			if _, has := s.Env[name]; !has {
				value, _ := env.Lookup(name)
				s.variable(Place{path, env.Line(name)}, name, value)
			}
		}
	}
}

func (s *Service) variable(at Place, name, value string) {
	v := EnvValue{Place: at, Text: value}
	if secretKey.MatchString(name) {
		v.Text, v.Literal, v.Weak = "", value != "", target.WeakPassword(value, "")
	}
	s.Env[name] = v
}

// readPort reads "8000:5432", "127.0.0.1:5432:5432", "5432" or the long form. Without an address Docker publishes on all.
func readPort(file string, n *yaml.Node) Port {
	p := Port{Place: Place{file, n.Line}}
	host := ""
	if n.Kind == yaml.MappingNode {
		host = plainText(child(n, "host_ip"))
		p.Target = plainText(child(n, "target"))
		p.Text = strings.TrimPrefix(plainText(child(n, "published"))+":"+p.Target, ":")
	} else {
		p.Text = plainText(n)
		rest := p.Text
		p.Target, _, _ = strings.Cut(rest[strings.LastIndexByte(rest, ':')+1:], "/")
		if strings.HasPrefix(rest, "[") {
			host, _, _ = strings.Cut(rest[1:], "]")
		} else if parts := strings.Split(rest, ":"); len(parts) == 3 {
			host = parts[0]
		}
	}
	addr, err := netip.ParseAddr(host)
	p.Open = host != "localhost" && (err != nil || !addr.IsLoopback())
	return p
}
