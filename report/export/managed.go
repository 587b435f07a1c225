package export

import "strings"

// own are settings that every managed service keeps for itself: where things lie, who may connect, archiving, crash safety.
var own = names(`listen_addresses port unix_socket_directories unix_socket_group unix_socket_permissions data_directory config_file hba_file
	ident_file external_pid_file archive_mode archive_command archive_library restore_command fsync full_page_writes ssl_cert_file
	ssl_key_file ssl_ca_file logging_collector log_directory hot_standby cluster_name superuser_reserved_connections reserved_connections
	io_method wal_sync_method zero_damaged_pages`)

func refuseManaged(it item) string {
	if own[it.Name] {
		return "the service keeps it for itself"
	}
	return ""
}

// auroraOwn are settings of a storage layer that Aurora replaced by its own.
var auroraOwn = names(`max_wal_size min_wal_size wal_buffers wal_compression checkpoint_timeout checkpoint_completion_target
	checkpoint_flush_after bgwriter_delay bgwriter_lru_maxpages bgwriter_lru_multiplier bgwriter_flush_after backend_flush_after
	wal_writer_delay wal_writer_flush_after commit_delay effective_io_concurrency maintenance_io_concurrency`)

func refuseAurora(it item) string {
	switch {
	case auroraOwn[it.Name]:
		return "Aurora's storage takes the place of WAL files, checkpoints and the page cache"
	case it.Name == "shared_buffers" || it.Name == "effective_cache_size":
		return "Aurora has no page cache of the operating system below it and sizes this itself: advice for a share of memory does not apply"
	}
	return refuseManaged(it)
}

func refuseCloudSQL(it item) string {
	if it.Name == "shared_preload_libraries" {
		return "Cloud SQL loads libraries through flags of its own, such as cloudsql.enable_pg_stat_statements"
	}
	return refuseManaged(it)
}

// supabaseKeys are all that the service takes (supabase/cli, pkg/config/db.go).
var supabaseKeys = names(`effective_cache_size logical_decoding_work_mem maintenance_work_mem max_connections max_locks_per_transaction
	max_parallel_maintenance_workers max_parallel_workers max_parallel_workers_per_gather max_replication_slots
	max_slot_wal_keep_size max_standby_archive_delay max_standby_streaming_delay max_wal_size max_wal_senders max_worker_processes
	session_replication_role shared_buffers statement_timeout track_activity_query_size track_commit_timestamp wal_keep_size
	wal_sender_timeout work_mem`)

func refuseSupabase(it item) string {
	if !supabaseKeys[it.Name] {
		return "Supabase takes 23 settings, and this is none of them"
	}
	return ""
}

func (j *job) supabase() error {
	ref := shellName(j.Name, "PROJECT_REF", "reference of the Supabase project")
	var set, back, gone []string
	for _, it := range j.items {
		set = append(set, "--config "+shell(it.Name+"="+it.Value))
		if it.reset {
			gone = append(gone, "--config "+it.Name)
		} else {
			back = append(back, "--config "+shell(it.Name+"="+it.old))
		}
	}
	command := func(verb string, args []string) string {
		return "supabase postgres-config " + verb + " --project-ref " + ref + " \\\n  " + strings.Join(args, " \\\n  ") + "\n"
	}
	undo := ""
	if len(back) > 0 {
		undo += command("update", back)
	}
	if len(gone) > 0 {
		undo += command("delete", gone)
	}
	do := ""
	if len(set) > 0 {
		do = command("update", set)
	}
	j.script("supabase", do, undo)
	if names := j.restarts(); len(names) > 0 {
		j.note("the project restarts for %s; --no-restart puts that off", strings.Join(names, ", "))
	}
	j.note("older releases of the command also want --experimental; the pooler is set in config.toml: [db.pooler] default_pool_size, max_client_conn")
	return nil
}

// script writes two shell scripts and the steps that run them.
func (j *job) script(stem, do, undo string) {
	head := "#!/bin/sh\n" + j.head("#") + "set -eu\n"
	j.file(stem+".sh", head+do+j.foot("#"))
	j.file(stem+"-rollback.sh", head+undo)
	j.out.Apply, j.out.Rollback = []string{"sh " + stem + ".sh"}, []string{"sh " + stem + "-rollback.sh"}
}
