package patch

import "fmt"

// owners are the systems that write the configuration themselves, with the export format that they take. Neon and
// AlloyDB have none of ours.
var owners = map[string]string{
	"patroni": "patroni", "cnpg": "cloudnativepg", "rds": "rds-cli", "aurora": "aurora-terraform", "cloudsql": "cloudsql-gcloud",
	"azure": "azure-cli", "supabase": "supabase", "neon": "", "alloydb": "",
}

// notes says what an operator has to know that is no shadow.
func (m *maker) notes() {
	s := m.in.Server
	if format, ok := owners[s.Service.Value]; ok && s.Service.OK() && !m.out.Empty() {
		m.out.Instead = format
		text := s.Service.Value + " writes the configuration itself, so neither the diff nor the statements last"
		if format != "" {
			text += ": use --format " + format
		}
		m.note(text)
	}
	if m.settings["allow_alter_system"].Value == "off" && m.out.AlterSystem != "" {
		m.note("allow_alter_system is off: this server refuses alter-system.sql")
	}
	if m.out.DropIn != "" {
		m.note("the patch makes the new file " + m.out.DropIn + " beside postgresql.conf, which could not be read whole; the server's user has to be able to read " + m.out.DropIn)
	}
	if m.out.Include != "" {
		m.note("postgresql.conf needs the line " + m.out.Include + " at its end, unless it has it")
	}
	if m.tree != nil {
		for _, p := range m.tree.Problems {
			if p.Text == "syntax error" {
				m.note(fmt.Sprintf("%s:%d has a syntax error: the server applies nothing before it is mended", p.File, p.Line))
			}
		}
	}
	m.standbys()
}

func (m *maker) note(text string) { m.out.Notes = append(m.out.Notes, text) }

// fromPrimary are the settings that a standby must have at least as high as its primary (Hot Standby, "Administrator's
// Overview").
var fromPrimary = map[string]bool{
	"max_connections": true, "max_worker_processes": true, "max_wal_senders": true, "max_prepared_transactions": true, "max_locks_per_transaction": true,
}

func (m *maker) standbys() {
	n, _ := m.in.Server.Standbys.Get()
	if n == 0 && !m.in.Server.InRecovery {
		return
	}
	for _, a := range m.out.Applied {
		switch now := m.settings[a.Name].Value; {
		case !fromPrimary[a.Name]:
		case greater(a.Setting, now):
			m.note(a.Name + " goes up: restart the standbys with it first, then the primary")
		case greater(now, a.Setting):
			m.note(a.Name + " goes down: restart the primary with it first, then the standbys")
		}
	}
}
