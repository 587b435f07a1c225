package export

import (
	"fmt"
	"strings"

	"pgfit/probe/guc"
)

// compose is an override file. Options on the command line beat postgresql.conf and ALTER SYSTEM.
func (j *job) compose() error {
	service := or(j.Name, "postgres")
	var b strings.Builder
	b.WriteString(j.head("#"))
	fmt.Fprintf(&b, "services:\n  %s:\n    command:\n      - postgres\n", yamlValue(service))
	for _, it := range j.items {
		arg := it.Name + "=" + strings.ReplaceAll(it.Value, "$", "$$") // compose would put a variable there
		fmt.Fprintf(&b, "      - -c\n      - %s\n", jsonString(arg))
	}
	b.WriteString("    shm_size: " + j.shm() + "\n")
	if j.Memory > 0 {
		fmt.Fprintf(&b, "    mem_limit: %s\n", strings.ToLower(guc.FormatBytes(j.Memory&^(1<<10-1))))
	} else if j.Needs > 0 {
		fmt.Fprintf(&b, "    # no mem_limit: the server has none; one has to be at least %dm, the worst case of these settings\n", mebibytes(j.Needs))
	}
	b.WriteString(j.foot("#"))
	j.file("compose.override.yaml", b.String())
	j.note("command: replaces a command: that the service has: carry its other options over")
	j.note("these options beat ALTER SYSTEM and postgresql.conf; Docker's 64 MB of shared memory would break parallel hash joins, hence shm_size")
	up := "docker compose up -d " + shell(service) + " # reads compose.override.yaml beside compose.yaml; makes the container anew, a restart of the server"
	j.out.Apply = []string{up}
	j.out.Rollback = []string{"remove compose.override.yaml", up}
	return nil
}

// mebibytes rounds up.
func mebibytes(bytes int64) int64 { return (bytes-1)>>20 + 1 }

// shm is the size of /dev/shm, which dynamic shared memory for parallel queries comes from: 1 GB, or a quarter of a small
// container.
func (j *job) shm() string {
	if j.Memory > 0 && j.Memory < 4<<30 {
		return fmt.Sprintf("%dmb", max(64, j.Memory/4>>20))
	}
	return "1gb"
}

// ansible is a task that copies the drop-in, with its handlers.
func (j *job) ansible() error {
	notify := "reload postgresql"
	if len(j.restarts()) > 0 {
		notify = "restart postgresql"
	}
	content := j.confText()
	tag := ""
	if strings.Contains(content, "{{") || strings.Contains(content, "{%") || strings.Contains(content, "{#") {
		tag = "!unsafe " // no template: the braces are PostgreSQL's
	}
	var b strings.Builder
	b.WriteString(j.head("#") + j.foot("#"))
	fmt.Fprintf(&b, "- name: Settings from pgfit\n  ansible.builtin.copy:\n    dest: \"{{ postgresql_conf_dir }}/conf.d/%s\"\n"+
		"    owner: postgres\n    group: postgres\n    mode: \"0644\"\n    content: %s|\n", confName, tag)
	for line := range strings.Lines(content) {
		if strings.TrimSpace(line) == "" {
			b.WriteString("\n")
			continue
		}
		b.WriteString("      " + line)
	}
	fmt.Fprintf(&b, "  notify: %s\n", notify)
	j.file("tasks/pgfit.yml", b.String())
	j.file("handlers/pgfit.yml", j.head("#")+`- name: reload postgresql
  ansible.builtin.service:
    name: "{{ postgresql_service | default('postgresql') }}"
    state: reloaded

- name: restart postgresql
  ansible.builtin.service:
    name: "{{ postgresql_service | default('postgresql') }}"
    state: restarted
`)
	j.note("postgresql_conf_dir is the directory of postgresql.conf, such as /etc/postgresql/%d/main; it has to include conf.d", j.major())
	if names := j.restarts(); len(names) > 0 {
		j.note("the handler restarts the server: %s take effect only then", strings.Join(names, ", "))
	}
	j.out.Apply = []string{"ansible-playbook a play that has both files"}
	j.out.Rollback = []string{"the same task with state: absent (ansible.builtin.file) on conf.d/" + confName}
	return nil
}

func (j *job) major() int {
	if m := j.Server.Major(); m > 0 {
		return m
	}
	return guc.NewestMajor
}
