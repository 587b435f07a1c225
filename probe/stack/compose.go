package stack

import (
	"bytes"
	"net/netip"
	"path"
	"regexp"
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
	Text string
	Open bool // published on other addresses than loopback
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
	tagMajor  = regexp.MustCompile(`:(?:pg)?(\d{2})(?:[.-]|$)`)
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
		if s := readService(file, name, body); imageName.MatchString(path.Base(repository(s.Image.Text))) {
			c.Services = append(c.Services, s)
		}
	}
	return c
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
		if n.Content[i].Value == "<<" {
			if got := childDepth(n.Content[i+1], key, depth+1); got != nil {
				return got
			}
		}
	}
	return nil
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
		s.HealthCheck = plainText(child(h, "disable")) != "true" && child(h, "test") != nil
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
	s.environment(file, child(body, "environment"))
	return s
}

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

func (s *Service) environment(file string, n *yaml.Node) {
	if n = follow(n); n == nil {
		return
	}
	if n.Kind == yaml.MappingNode {
		for i := 0; i+1 < len(n.Content); i += 2 {
			s.variable(Place{file, n.Content[i].Line}, n.Content[i].Value, plainText(n.Content[i+1]))
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
		p.Text = plainText(child(n, "published")) + ":" + plainText(child(n, "target"))
	} else {
		p.Text = plainText(n)
		rest := p.Text
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
