package rules

import (
	"slices"
	"strings"

	"pgfit/probe/guc"
)

// storageServices write WAL to a storage layer of their own: checkpoints, WAL size and full-page images are not what
// they are on a disk, and there is no page cache of an operating system below shared_buffers.
var storageServices = []string{"aurora", "alloydb", "neon"}

// supabaseKeys are the settings that supabase lets a user change, of those that rules exist for.
var supabaseKeys = []string{"effective_cache_size", "maintenance_work_mem", "max_connections", "max_parallel_maintenance_workers",
	"max_parallel_workers", "max_parallel_workers_per_gather", "max_wal_size", "max_worker_processes", "shared_buffers", "statement_timeout", "work_mem", "wal_keep_size"}

// providerOwned are the settings that managed services keep to themselves.
var providerOwned = []string{"superuser_reserved_connections", "reserved_connections", "huge_pages", "log_destination", "logging_collector",
	"log_directory", "log_filename", "log_line_prefix", "io_method", "autovacuum", "wal_level"}

// managed tells whether somebody else runs the machine.
func (s *situation) managed() bool {
	return slices.Contains([]string{"rds", "aurora", "cloudsql", "alloydb", "azure", "neon", "supabase"}, s.service)
}

// untouchable says why a setting cannot be changed on this service, "" when it can.
func (s *situation) untouchable(set guc.Setting, family string) string {
	onStorage := slices.Contains(storageServices, s.service)
	switch {
	case s.in.Pinned[set.Name] != "":
		return s.in.Pinned[set.Name]
	case onStorage && (family == checkpoint || family == wal):
		return s.service + " keeps WAL in its own storage layer: checkpoint and WAL settings have no meaning there"
	case onStorage && slices.Contains([]string{"shared_buffers", "effective_cache_size"}, set.Name):
		return s.service + " has no page cache below shared_buffers and sets this from the size of the instance"
	case s.service == "neon" && set.Context != "user":
		return "neon sets this from the compute size; only settings of a role or a database can be changed"
	case s.service == "supabase" && !slices.Contains(supabaseKeys, set.Name):
		return "supabase does not let it be changed"
	case s.managed() && slices.Contains(providerOwned, set.Name):
		return s.service + " does not let it be changed"
	case s.service == "cnpg" && (strings.HasPrefix(set.Name, "log_dest") || set.Name == "logging_collector" || strings.HasPrefix(set.Name, "ssl")):
		return "the operator owns it and refuses changes"
	}
	return ""
}
