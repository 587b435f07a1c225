package stack

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestParseCompose(t *testing.T) {
	c := ParseCompose("c.yml", []byte(`
x-base: &base
  image: postgres:16-alpine
  healthcheck: {test: ["CMD", "true"]}
services:
  web: {image: nginx, ports: ["80:80"]}
  db:
    <<: *base
    command: ["postgres", "-c", "config_file=/etc/postgresql/postgresql.conf"]
    environment:
      - POSTGRES_PASSWORD=${PW:-devpass}
      - APP_DB=x
      - TOKEN_FILE=/run/secrets/x
    ports: ["5433:5432", "127.0.0.1:5432:5432", "[::1]:1:5432", {target: 5432, published: "6000", host_ip: 127.0.0.1}, {target: 5432, published: "6001"}, "5432"]
    volumes:
      - ./pg.conf:/etc/postgresql/postgresql.conf:ro
      - {type: bind, source: ./d, target: /var/lib/postgresql/data}
      - /anonymous
  gis:
    image: registry.example:5000/postgis/postgis:15-3.4@sha256:abc
    healthcheck: {disable: true, test: [x]}
    environment: {POSTGRES_PASSWORD: "", POSTGRES_HOST_AUTH_METHOD: trust}
`))
	if len(c.Problems) > 0 || len(c.Services) != 2 {
		t.Fatalf("problems %v, %d services", c.Problems, len(c.Services))
	}
	db, gis := c.Services[0], c.Services[1]
	var open []string
	for _, p := range db.Ports {
		if p.Open {
			open = append(open, p.Text)
		}
	}
	if got := strings.Join(open, " "); got != "5433:5432 6001:5432 5432" {
		t.Errorf("open ports %s", got)
	}
	if pw := db.Env["POSTGRES_PASSWORD"]; !pw.Literal || !pw.Weak || pw.Text != "" || pw.Line != 11 {
		t.Errorf("POSTGRES_PASSWORD: %+v", pw)
	}
	if db.Env["APP_DB"].Text != "x" || db.Env["TOKEN_FILE"].Text == "" || !db.HealthCheck || db.Major() != 16 || db.Line != 7 {
		t.Errorf("db: %+v", db)
	}
	if !strings.Contains(db.Command, "config_file=/etc") || len(db.Mounts) != 3 || db.Mounts[1].Target != "/var/lib/postgresql/data" || db.Mounts[2].Target != "/anonymous" {
		t.Errorf("db: %q, %+v", db.Command, db.Mounts)
	}
	if gis.Major() != 15 || gis.HealthCheck || gis.Env["POSTGRES_PASSWORD"].Literal || gis.Env["POSTGRES_HOST_AUTH_METHOD"].Text != "trust" {
		t.Errorf("gis: %+v", gis)
	}
	for _, text := range []string{"", "a: [", "services: 3", "services: &a {b: *a}"} {
		if got := ParseCompose("c", []byte(text)); len(got.Services) > 0 {
			t.Errorf("%q has services", text)
		}
	}
}

func TestFind(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"config.yaml", "docker-compose.dev.yml", "docker-compose.prod.yml", "infra/dev/postgresql.conf", "infra/prod/postgresql.conf", ".git/pg_hba.conf",
		"node_modules/x/.env", "a/b/c/d/e/f/g/.env", "compose.txt"} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for env, want := range map[string]string{"production": "prod", "development": "dev"} {
		got, passed, err := Find(dir, env)
		if err != nil || !strings.Contains(got.Conf, want) || len(got.Compose) != 1 || !strings.Contains(got.Compose[0], want) || got.Config == "" || got.HBA != "" || got.Env != "" || len(passed) != 2 {
			t.Errorf("%s: %+v, passed over %v, %v", env, got, passed, err)
		}
	}
	if _, _, err := Find(filepath.Join(dir, "none"), ""); err == nil {
		t.Error("a directory that is not there was searched")
	}
}

// A password never leaves: not in any field of what was read.
func TestReadAppKeepsNoSecret(t *testing.T) {
	const canary = "CaNaRy9f3"
	dir := t.TempDir()
	config, env := filepath.Join(dir, "config.yaml"), filepath.Join(dir, ".env")
	write := func(path, text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(config, "database:\n  url: \"${DATABASE_URL:-postgresql://a:"+canary+"@h/d}\"\n  pool_size: ${POOL:-7}\n  password_env_var: PW\n")
	write(env, "PW="+canary+"\nDATABASE_URL=postgresql+asyncpg://app:${PW}@db/x?sslmode=require&pool_size=9\nDATABASE_URL2=postgresql://app:"+canary+"@db/x\n")
	s, major, err := Read(Files{Config: config, Env: env}, 0, func(string) (string, bool) { return "", false })
	if err != nil || major != 16 {
		t.Fatalf("%v, major %d", err, major)
	}
	a := s.App
	if len(a.URLs) != 2 || a.URLs[0].Literal || !a.URLs[0].HasPassword || !a.URLs[0].SSLModeForAsyncpg || !a.URLs[1].Fallback || !a.URLs[1].Literal {
		t.Errorf("URLs: %+v", a.URLs)
	}
	if v := a.Pool["pool_size"]; v.Text != "9" || v.Line != 2 || !a.PasswordSource {
		t.Errorf("pool_size %+v, another source %v", v, a.PasswordSource)
	}
	if text := dump(a); strings.Contains(text, canary) {
		t.Errorf("the password is in %s", text)
	}
}

// TestComposeForms: what Compose also takes: lists, long forms, merged mappings, files of variables.
func TestComposeForms(t *testing.T) {
	dir := t.TempDir()
	text := `
x-env: &env {POSTGRES_USER: app, POSTGRES_PASSWORD: from-below}
x-base: &base
  healthcheck: {test: pg_isready}
services:
  listed:
    image: timescale/timescaledb:2.14.2-pg16
    environment: [POSTGRES_PASSWORD=written, "PGDATA=/data/pg", POSTGRES_DB]
    ports: [{target: 5432, published: "5433", host_ip: 127.0.0.1}, {target: 5433}, "5432", "[::1]:6000:5432/tcp"]
    mem_limit: 1.5g
    network_mode: host
  merged:
    <<: [*base, {image: "postgres:16"}]
    environment: {<<: *env, POSTGRES_PASSWORD: from-above}
    env_file: [vars.env, {path: gone.env, required: false}]
    deploy: {resources: {limits: {memory: 512M}}}
  built: {build: ., ports: ["5432"], healthcheck: {test: [NONE]}}
  web: {build: ., ports: ["80"], environment: {POSTGRES_PASSWORD: x}}
`
	if err := os.WriteFile(filepath.Join(dir, "vars.env"), []byte("# c\nPOSTGRES_DB=app\nPOSTGRES_USER=other\nAPP_PW=postgres\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "compose.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s, major, err := Read(Files{Compose: []string{file}}, 0, func(string) (string, bool) { return "", false })
	if err != nil || major != 16 || len(s.Compose[0].Services) != 3 {
		t.Fatalf("major %d, %+v, %v", major, s, err)
	}
	listed, merged := s.Compose[0].Services[0], s.Compose[0].Services[1]
	if built := s.Compose[0].Services[2]; built.Name != "built" || built.HealthCheck {
		t.Errorf("%+v", built)
	}
	var ports []string
	for _, p := range listed.Ports {
		ports = append(ports, fmt.Sprintf("%s>%s %v", p.Text, p.Target, p.Open))
	}
	if got, want := strings.Join(ports, ", "), "5433:5432>5432 false, 5433>5433 true, 5432>5432 true, [::1]:6000:5432/tcp>5432 false"; got != want {
		t.Errorf("ports %s, want %s", got, want)
	}
	if listed.Memory != 3<<29 || listed.Network.Text != "host" || listed.Env["PGDATA"].Text != "/data/pg" || !listed.Env["POSTGRES_PASSWORD"].Literal {
		t.Errorf("%+v", listed)
	}
	if pw := merged.Env["POSTGRES_PASSWORD"]; pw.Line != 14 || !merged.HealthCheck || merged.Memory != 512<<20 || merged.Env["POSTGRES_USER"].Text != "app" {
		t.Errorf("%+v", merged)
	}
	if db, pw := merged.Env["POSTGRES_DB"], merged.Env["APP_PW"]; db.Text != "app" || db.Line != 2 || !pw.Weak || pw.Text != "" || !merged.EnvUnread {
		t.Errorf("from vars.env: %+v, %+v", db, pw)
	}
}
