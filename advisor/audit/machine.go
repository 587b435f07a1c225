package audit

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"pgfit/probe"
	"pgfit/probe/stack"
)

// ram is the memory that the server has: the host's, or the limit of the container that is started with the file.
func (r *runner) ram() int64 {
	if r.in.Memory > 0 {
		return r.in.Memory
	}
	for _, s := range r.containers() {
		if s.Memory > 0 {
			return s.Memory
		}
	}
	return 0
}

// containers are the services that get the postgresql.conf that is looked at.
func (r *runner) containers() []stack.Service {
	var out []stack.Service
	for _, c := range r.in.Compose {
		for _, s := range c.Services {
			if slices.ContainsFunc(s.Mounts, func(m stack.Mount) bool {
				return strings.HasSuffix(m.Target, "/postgresql.conf") && filepath.Join(filepath.Dir(c.File), m.Source) == filepath.Clean(r.set.main)
			}) {
				out = append(out, s)
			}
		}
	}
	return out
}

// machine holds settings against the disk and the CPUs, where they are known.
func (r *runner) machine() {
	cost, ok := r.set.Float("random_page_cost")
	switch class := r.in.Disk; {
	case !ok:
	case class == probe.SSD || class == probe.NVMe:
		if r.look("conf.page-cost-ssd"); cost >= 4 {
			r.find("conf.page-cost-ssd", r.set.where("random_page_cost"), fmt.Sprintf("random_page_cost is %g on %s", cost, class))
		}
	case class == probe.HDD:
		if r.look("conf.page-cost-hdd"); cost < 2 {
			r.find("conf.page-cost-hdd", r.set.where("random_page_cost"), fmt.Sprintf("random_page_cost is %g on a disk that turns", cost))
		}
	}
	gather, ok := r.set.Int("max_parallel_workers_per_gather")
	all, ok2 := r.set.Int("max_parallel_workers")
	processes, ok3 := r.set.Int("max_worker_processes")
	if !ok || !ok2 || !ok3 {
		return
	}
	r.look("conf.parallel-workers")
	_, set := r.set.place["max_parallel_workers_per_gather"]
	text := fmt.Sprintf("max_parallel_workers_per_gather is %d", gather)
	switch most := min(all, processes); {
	case most == 0: // switched off
	case gather > most:
		r.find("conf.parallel-workers", r.set.where("max_parallel_workers_per_gather"),
			fmt.Sprintf("%s, and no more than %d can run: max_parallel_workers is %d, max_worker_processes %d", text, most, all, processes))
	case set && r.in.CPUs > 0 && float64(gather) > max(1, r.in.CPUs-1):
		r.find("conf.parallel-workers", r.set.where("max_parallel_workers_per_gather"), fmt.Sprintf("%s on %g CPUs", text, r.in.CPUs))
	}
}

// reachable holds listen_addresses and port against who connects: the container's network and the application's URL.
func (r *runner) reachable() {
	if r.in.Conf == nil {
		return
	}
	listen := r.set.Text("listen_addresses")
	far := slices.ContainsFunc(words(listen), func(a string) bool { return a != "" && !onlyHere(a) })
	told := false
	for _, s := range r.containers() {
		if strings.Contains(s.Command, "listen_addresses") || strings.HasPrefix(s.Network.Text, "host") {
			continue
		}
		if r.look("conf.listen"); !far {
			told = true
			r.find("conf.listen", r.set.where("listen_addresses"), fmt.Sprintf("listen_addresses is %s, and nobody outside the container of service %s gets to that", quoted(listen), s.Name))
		}
		r.containerPort(s)
	}
	u, ok := r.urlInForce()
	if !ok || u.Host == "" || strings.HasPrefix(u.Host, "/") || onlyHere(u.Host) || u.port() != r.set.Text("port") {
		return // another port: something is in between
	}
	if r.look("conf.listen"); !far && !told {
		r.find("conf.listen", r.set.where("listen_addresses"), fmt.Sprintf("listen_addresses is %s, and %s connects to %s", quoted(listen), u.Name, u.Host))
	}
}

// containerPort compares the port of a service with those that others use.
func (r *runner) containerPort(s stack.Service) {
	port := r.set.Text("port")
	if strings.Contains(s.Command, "port=") {
		return
	}
	r.look("conf.port")
	for _, p := range s.Ports {
		if p.Target != "" && p.Target != port {
			r.find("conf.port", in(p.Place), fmt.Sprintf("service %s publishes port %s of the container, and the server listens on %s", s.Name, p.Target, port))
		}
	}
	if u, ok := r.urlInForce(); ok && u.Host == s.Name && u.port() != port {
		r.find("conf.port", in(u.Place), fmt.Sprintf("%s connects to port %s of service %s, and the server listens on %s", u.Name, u.port(), s.Name, port))
	}
}

// appURL is the URL that the application connects with.
type appURL struct{ stack.URL }

func (u appURL) port() string {
	if u.Port == "" {
		return "5432"
	}
	return u.Port
}

func (r *runner) urlInForce() (appURL, bool) {
	if r.in.App == nil || len(r.in.App.URLs) == 0 || r.in.App.URLs[0].Fallback {
		return appURL{}, false
	}
	u := r.in.App.URLs[0]
	return appURL{u}, u.Error == "" && !u.SQLite
}

// certificateDays is how long before its end a certificate is told of.
const certificateDays = 30

// certificate looks at the files of ssl_cert_file and ssl_key_file, where they lie on this machine.
func (r *runner) certificate() {
	c := r.in.Certificate
	if c == nil || !r.set.On("ssl") {
		return
	}
	r.look("conf.ssl-expiry", "conf.ssl-key-mode")
	switch {
	case c.Days < 0:
		r.find("conf.ssl-expiry", in(c.Place), "the certificate has expired")
	case c.Days < certificateDays:
		r.find("conf.ssl-expiry", in(c.Place), fmt.Sprintf("the certificate expires in %d days", c.Days))
	}
	if c.KeyReadable {
		r.find("conf.ssl-key-mode", in(c.Key), "others may read the file of the private key")
	}
}
