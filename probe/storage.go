package probe

import (
	"context"
	"path"
	"strings"

	"github.com/jackc/pgx/v5"
)

// place is one directory of the server, by the server's own name for it.
type place struct{ role, dir string }

// readStorage finds what lies under data_directory, pg_wal, the tablespaces and temp_tablespaces of a server. root leads
// from here to the server's file system: "" unless it lives in a container.
func (e Env) readStorage(places []place, pid, root string) []Storage {
	mounts := e.mounts(pid)
	out := make([]Storage, 0, len(places))
	for _, p := range places {
		s := Storage{Role: p.role, Path: p.dir, Class: UnknownClass, root: root}
		seen := root + p.dir
		s.Total, s.Free = Fact[int64]{State: Denied, Source: "statfs"}, Fact[int64]{State: Denied, Source: "statfs"}
		if e.Usage != nil {
			s.Total, s.Free = e.Usage(seen)
		}
		m, ok := e.mountOf(mounts, p.dir, seen)
		if !ok {
			s.Evidence = []string{"no mount was found for it"}
		} else {
			s.MountPoint, s.FSType, s.Device = m.point, m.fsType, m.source
			s.Options = append(strings.Split(m.options, ","), strings.Split(m.super, ",")...)
			e.under(&s, m, 0)
		}
		out = append(out, s)
	}
	return out
}

// places lists the directories of a server. conn may be nil.
func (e Env) places(ctx context.Context, conn *pgx.Conn, set Server, root string) []place {
	data, ok := set.DataDirectory.Get()
	if !ok || data == "" {
		return nil
	}
	out := []place{{"data_directory", data}}
	if wal, err := e.Files.ReadLink(root + path.Join(data, "pg_wal")); err == nil {
		if !path.IsAbs(wal) {
			wal = path.Join(data, wal)
		}
		out = append(out, place{"pg_wal", wal})
	}
	if conn == nil {
		return out
	}
	rows, err := conn.Query(ctx, `SELECT spcname, pg_tablespace_location(oid), spcname = ANY (string_to_array(replace(replace(current_setting('temp_tablespaces'), '"', ''), ' ', ''), ','))
		FROM pg_tablespace WHERE pg_tablespace_location(oid) <> '' ORDER BY spcname`)
	if err != nil {
		return out
	}
	var name, dir string
	var temp bool
	_, _ = pgx.ForEachRow(rows, []any{&name, &dir, &temp}, func() error {
		out = append(out, place{"tablespace " + name, dir})
		if temp {
			out = append(out, place{"temp", dir})
		}
		return nil
	})
	return out
}

// walHidden warns where it cannot be seen whether pg_wal is a link to another disk.
func (e Env) walHidden(s Server, root string) []Warning {
	data, ok := s.DataDirectory.Get()
	if !ok || data == "" {
		return nil
	}
	if _, err := e.Files.ReadLink(root + path.Join(data, "pg_wal")); err == nil || stateOf(err) != Denied {
		return nil
	}
	return []Warning{{Code: "wal-hidden", Text: "whether pg_wal lies on a disk of its own cannot be seen from here; it is taken to lie on that of data_directory",
		Hint: "run pgfit as the server's user or as root on its machine"}}
}

// network are file systems whose disks are somewhere else.
const network = "nfs,nfs4,cifs,smb3,9p,virtiofs,ceph,glusterfs,lustre,beegfs,gpfs,ocfs2,afs"

// under finds the disks of a mount and what kind they are.
func (e Env) under(s *Storage, m mount, depth int) {
	switch {
	case depth > deepest:
		s.Evidence = []string{"too many layers"}
	case m.fsType == "tmpfs" || m.fsType == "ramfs":
		s.Class, s.Evidence = RAM, []string{m.fsType + " lives in memory"}
	case contains(network, m.fsType) || strings.HasPrefix(m.fsType, "fuse"):
		s.Class, s.Evidence = Network, []string{m.fsType + " is a network or host file system"}
	case m.fsType == "overlay":
		e.overlay(s, m, depth)
	case m.fsType == "btrfs":
		e.btrfs(s, m, depth)
	case m.fsType == "zfs":
		e.zfs(s, m, depth)
	case strings.HasPrefix(m.device, "0:"):
		s.Evidence = []string{m.fsType + " does not name its disks"}
	default:
		e.descend(s, e.deviceName(m.device), map[string]bool{}, depth)
		s.Class, s.Evidence = e.classify(*s)
	}
}

// overlay follows the upper directory, which takes the writes. A container cannot see where it is; its host can.
func (e Env) overlay(s *Storage, m mount, depth int) {
	s.Layers = append(s.Layers, "overlay")
	upper := ""
	for opt := range strings.SplitSeq(m.super, ",") {
		if dir, ok := strings.CutPrefix(opt, "upperdir="); ok {
			upper = unescape.Replace(dir)
		}
	}
	if path.IsAbs(upper) && e.exists(upper) {
		if below, ok := e.mountOf(e.mounts(e.Self), upper, upper); ok && below.id != m.id {
			e.under(s, below, depth+1)
			return
		}
	}
	s.Evidence = []string{"the directory lies inside the container's own layer, and where that is cannot be seen from inside"}
}

// btrfs names all members of the file system that the source, one of them, belongs to. Its device number is not a disk's.
func (e Env) btrfs(s *Storage, m mount, depth int) {
	const dir = "/sys/fs/btrfs"
	ids, _ := e.Files.ReadDir(dir)
	for _, id := range ids {
		members, _ := e.Files.ReadDir(path.Join(dir, id, "devices"))
		if !contains(strings.Join(members, ","), path.Base(m.source)) {
			continue
		}
		s.Layers = append(s.Layers, "btrfs")
		for _, name := range members {
			e.descend(s, name, map[string]bool{}, depth)
		}
		s.Class, s.Evidence = e.classify(*s)
		return
	}
	s.Evidence = []string{"the members of the btrfs file system were not found"}
}

// HostPath is the directory by this machine's name for it: the server's own may lie in a container.
func (s Storage) HostPath() string {
	if s.Path == "" {
		return ""
	}
	return s.root + s.Path
}
