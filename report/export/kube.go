package export

import (
	"fmt"
	"strconv"
	"strings"
)

// merge is a merge patch: keys from the outside in, then the parameters.
type merge struct {
	path  []string
	value func(string) string
}

// yaml writes the parameters below the path; remove writes null for those that were not set before.
func (m merge) yaml(items []item, old bool) string {
	var b strings.Builder
	indent := ""
	for _, key := range m.path {
		b.WriteString(indent + key + ":\n")
		indent += "  "
	}
	if len(items) == 0 {
		return strings.TrimSuffix(b.String(), "\n") + " {}\n"
	}
	for _, it := range items {
		value := m.value(it.Value)
		switch {
		case old && it.reset:
			value = "null"
		case old:
			value = m.value(it.old)
		}
		fmt.Fprintf(&b, "%s%s: %s\n", indent, yamlKey(it.Name), value)
	}
	return b.String()
}

func yamlKey(name string) string {
	if strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.") == "" {
		return name
	}
	return jsonString(name)
}

// patches writes the file and the one that takes it back.
func (j *job) patches(m merge, stem, extra, extraBack string) {
	j.file(stem+".yaml", j.head("#")+m.yaml(j.items, false)+extra+j.foot("#"))
	j.file(stem+"-rollback.yaml", j.head("#")+m.yaml(j.items, true)+extraBack)
}

func (j *job) patroni() error {
	m := merge{[]string{"postgresql", "parameters"}, yamlValue}
	j.patches(m, "patroni", "", "")
	cluster := shellName(j.Name, "CLUSTER", "name of the Patroni cluster")
	edit := func(file string) string {
		return `patronictl -c "${PATRONICTL_CONFIG:-/etc/patroni/config.yml}" edit-config --apply ` + file + " --force " + cluster
	}
	j.out.Apply, j.out.Rollback = []string{edit("patroni.yaml")}, []string{edit("patroni-rollback.yaml")}
	if names := j.restarts(); len(names) > 0 {
		step := `patronictl -c "${PATRONICTL_CONFIG:-/etc/patroni/config.yml}" restart ` + cluster + " # for " + strings.Join(names, ", ") +
			"; not systemctl, which would be taken for a failure"
		j.out.Apply, j.out.Rollback = append(j.out.Apply, step), append(j.out.Rollback, step)
	}
	j.note("a parameter that a member's own patroni.yml sets beats this, but for those that Patroni takes from the cluster alone")
	return nil
}

// patroniOwn are set by Patroni itself, and patroniFloor are the least values that it passes on.
var (
	patroniOwn   = names("listen_addresses port cluster_name hot_standby unix_socket_directories")
	patroniFloor = map[string]float64{"max_connections": 25, "max_wal_senders": 3, "max_worker_processes": 2, "max_locks_per_transaction": 32, "max_replication_slots": 4}
)

func refusePatroni(it item) string {
	if patroniOwn[it.Name] {
		return "Patroni sets it itself"
	}
	if floor, ok := patroniFloor[it.Name]; ok {
		if v, err := strconv.ParseFloat(it.base, 64); err == nil && v < floor {
			return fmt.Sprintf("Patroni takes no less than %g", floor)
		}
	}
	return ""
}

// cloudNativePG wants strings only, and the libraries beside the parameters.
func (j *job) cloudNativePG() error {
	items, extra, back := j.items, "", ""
	j.items = nil
	for _, it := range items {
		if it.Name != "shared_preload_libraries" {
			j.items = append(j.items, it)
			continue
		}
		extra, back = libraries(it.Value), libraries(it.old)
		if it.reset || back == "" {
			back = "    shared_preload_libraries: null\n"
		}
	}
	j.patches(merge{[]string{"spec", "postgresql", "parameters"}, jsonString}, "cloudnativepg", extra, back)
	j.kubectl("cluster.postgresql.cnpg.io", "cloudnativepg")
	j.memory("spec.resources")
	j.note("the operator restarts the pods by itself where a change needs it; ALTER SYSTEM is off by default")
	j.note("the operator's own defaults differ from PostgreSQL's: max_parallel_workers and max_worker_processes 32, wal_keep_size 512MB, wal_level logical")
	return nil
}

func libraries(list string) string {
	var b strings.Builder
	for _, name := range strings.Split(list, ",") {
		if name = strings.TrimSpace(name); name != "" {
			fmt.Fprintf(&b, "      - %s\n", jsonString(name))
		}
	}
	if b.Len() == 0 {
		return ""
	}
	return "    shared_preload_libraries:\n" + b.String()
}

// cnpgFixed is what the operator's webhook refuses (pkg/postgres/configuration.go, FixedConfigurationParameters), but for
// shared_preload_libraries, which has a place of its own.
var cnpgFixed = names(`allow_system_table_mods archive_mode bonjour bonjour_name cluster_name config_file data_directory data_sync_retry
	event_source external_pid_file hba_file hot_standby ident_file jit_provider listen_addresses logging_collector port primary_conninfo
	primary_slot_name recovery_target recovery_target_action recovery_target_inclusive recovery_target_lsn recovery_target_name
	recovery_target_time recovery_target_timeline recovery_target_xid restore_command temp_tablespaces unix_socket_directories
	unix_socket_group unix_socket_permissions archive_cleanup_command archive_command log_destination log_directory log_file_mode
	log_filename log_rotation_age log_rotation_size log_truncate_on_rotation promote_trigger_file recovery_end_command
	recovery_min_apply_delay restart_after_crash ssl ssl_ca_file ssl_cert_file ssl_crl_file ssl_dh_params_file ssl_ecdh_curve ssl_key_file
	ssl_passphrase_command ssl_passphrase_command_supports_reload ssl_prefer_server_ciphers stats_temp_directory
	synchronous_standby_names synchronized_standby_slots syslog_facility syslog_ident syslog_sequence_numbers syslog_split_messages
	allow_alter_system`)

func refuseCloudNativePG(it item) string {
	if cnpgFixed[it.Name] {
		return "CloudNativePG's webhook refuses it"
	}
	return ""
}

// zalando wants strings only.
func (j *job) zalando() error {
	j.patches(merge{[]string{"spec", "postgresql", "parameters"}, jsonString}, "zalando", "", "")
	j.kubectl("postgresql.acid.zalan.do", "zalando")
	j.memory("spec.resources")
	j.note("the operator restarts the pods where a change needs it; Spilo's presets stay for what is not named here")
	return nil
}

func refuseZalando(it item) string { return refusePatroni(it) } // Spilo runs Patroni

const crunchyMax = 50

func (j *job) crunchy() error {
	if len(j.items) > crunchyMax {
		for _, it := range j.items[crunchyMax:] {
			j.skip(it.Name, "a PostgresCluster takes at most 50 parameters")
		}
		j.items = j.items[:crunchyMax]
	}
	j.patches(merge{[]string{"spec", "config", "parameters"}, yamlValue}, "crunchy", "", "")
	j.kubectl("postgrescluster.postgres-operator.crunchydata.com", "crunchy")
	j.memory("spec.instances[].resources")
	j.note("before the operator's version 5.7 the place is spec.patroni.dynamicConfiguration.postgresql.parameters")
	return nil
}

var crunchyFixed = names(`wal_level wal_log_hints archive_mode archive_command restore_command ssl ssl_ca_file ssl_cert_file ssl_key_file port
	listen_addresses unix_socket_directories unix_socket_group unix_socket_permissions hot_standby logging_collector cluster_name
	config_file data_directory external_pid_file hba_file ident_file recovery_target`)

func refuseCrunchy(it item) string {
	if crunchyFixed[it.Name] {
		return "the operator keeps it for itself"
	}
	return refusePatroni(it)
}

func (j *job) kubectl(kind, stem string) {
	name := shellName(j.Name, "CLUSTER", "name of the cluster resource")
	j.out.Apply = []string{
		"kubectl patch " + kind + " " + name + " --type merge --patch-file " + stem + ".yaml --dry-run=server",
		"kubectl patch " + kind + " " + name + " --type merge --patch-file " + stem + ".yaml",
	}
	j.out.Rollback = []string{"kubectl patch " + kind + " " + name + " --type merge --patch-file " + stem + "-rollback.yaml"}
}

// memory says what the pod needs, and warns when the shared buffers cannot fit it.
func (j *job) memory(where string) {
	if j.Memory <= 0 {
		if j.Needs > 0 {
			j.note("%s: requests and limits of memory should be the same, and at least %dMi, the worst case of these settings", where, mebibytes(j.Needs))
		}
		return
	}
	j.note("%s: requests and limits of memory should both be %dMi, so that the pod is not the first to be killed", where, j.Memory>>20)
	for _, it := range j.items {
		if it.Name != "shared_buffers" {
			continue
		}
		if pages, err := strconv.ParseInt(it.base, 10, 64); err == nil && pages*8192 > j.Memory/2 {
			j.note("shared_buffers is more than half of the pod's memory")
		}
	}
}

func names(list string) map[string]bool {
	all := map[string]bool{}
	for _, name := range strings.Fields(list) {
		all[name] = true
	}
	return all
}
