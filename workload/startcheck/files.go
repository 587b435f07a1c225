package startcheck

import (
	"context"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"pgfit/probe/pgconf"
	"pgfit/workload/cluster"
)

// place writes the files into the data directory, as below another root, and makes postgresql.conf read them. options get
// the places that the files may name elsewhere: a data_directory on this machine would be another server's.
func (in Input) place(dataDir string, tree *pgconf.Tree, options map[string]string) error {
	options["data_directory"] = dataDir
	options["hba_file"], options["ident_file"] = filepath.Join(dataDir, "pg_hba.conf"), filepath.Join(dataDir, "pg_ident.conf")
	options["external_pid_file"] = ""
	root := filepath.Join(dataDir, "pgfit-check")
	main := filepath.Join(dataDir, "postgresql.conf")
	if tree == nil {
		return in.placeDropIns(root, main)
	}
	for _, f := range tree.Files() {
		target := filepath.Join(root, filepath.FromSlash(absolute(f.Path)))
		if f == tree.Auto {
			target = filepath.Join(dataDir, pgconf.AutoConf)
		}
		if err := write(target, f.Relocated(root, withoutLines)); err != nil {
			return err
		}
	}
	for _, dir := range tree.IncludeDirs() {
		if err := os.MkdirAll(filepath.Join(root, filepath.FromSlash(absolute(dir))), 0o755); err != nil {
			return err
		}
	}
	return os.WriteFile(main, []byte("include "+pgconf.Quote(path.Join(root, absolute(in.Main)))+"\n"), 0o600)
}

func (in Input) placeDropIns(root, main string) error {
	stock, err := os.ReadFile(main)
	if err != nil {
		return err
	}
	for _, f := range in.Files {
		target := filepath.Join(root, filepath.FromSlash(absolute(f.Path)))
		if err := write(target, []byte(f.Text)); err != nil {
			return err
		}
		stock = append(stock, "include "+pgconf.Quote(target)+"\n"...)
	}
	return os.WriteFile(main, stock, 0o600)
}

// write makes the directories open to the server's user.
func write(name string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	return os.WriteFile(name, data, 0o644)
}

// absolute puts relative names, as a document may have them, below the root as well.
func absolute(name string) string { return path.Join("/", name) }

// values are the wanted settings as the server has them; of those that the command line overrides, as the files say.
func (in Input) values(ctx context.Context, s *cluster.Server, options map[string]string) (map[string]string, error) {
	conn, err := pgx.ConnectConfig(ctx, s.Config())
	if err != nil {
		return nil, fmt.Errorf("connecting to the started server: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	out := map[string]string{}
	rows, err := conn.Query(ctx, "SELECT name, setting FROM pg_settings WHERE name = ANY($1)", in.Names)
	if err != nil {
		return nil, err
	}
	var name, value string
	if _, err := pgx.ForEachRow(rows, []any{&name, &value}, func() error {
		out[name] = value
		return nil
	}); err != nil {
		return nil, err
	}
	for name := range out {
		if _, ok := options[strings.ToLower(name)]; ok || slices.Contains(alsoOverridden, name) {
			if out[name], err = s.ConfValue(name); err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}
