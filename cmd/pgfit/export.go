package main

import (
	"os"

	"github.com/spf13/pflag"

	"pgfit/report/export"
	"pgfit/report/files"
)

// exportFlags say where an advice goes.
type exportFlags struct {
	out       string
	name      string
	catalogue string
}

func (f *exportFlags) addFlags(fs *pflag.FlagSet) {
	fs.StringVar(&f.out, "out", "", "directory for all files of the format; without it the first is printed")
	fs.StringVar(&f.name, "name", "", "name of the parameter group, instance, cluster or service that the format is for")
	fs.StringVar(&f.catalogue, "catalogue", "", "the managed service's list of parameters (JSON of aws, gcloud or az), to leave out what it refuses")
}

func (f *exportFlags) validate(format string) error {
	switch {
	case f.name == "" && f.catalogue == "":
		return nil
	case files.Own(format):
		return usagef("--name and --catalogue are for the formats of other systems, not for %s", format)
	}
	return nil
}

func (f *exportFlags) target() (files.Target, error) {
	t := files.Target{Name: f.name}
	if f.catalogue == "" {
		return t, nil
	}
	data, err := os.ReadFile(f.catalogue)
	if err != nil {
		return t, usagef("--catalogue: %w", err)
	}
	if t.Catalogue, err = export.ParseCatalogue(data); err != nil {
		return t, usagef("--catalogue %s: %w", f.catalogue, err)
	}
	return t, nil
}

// write puts all files into the directory, or prints the first of them, and says what to do with it.
func (f *exportFlags) write(a *app, made []files.File, talk []string) error {
	for _, line := range talk {
		a.say("%s", line)
	}
	if f.out != "" {
		if err := files.Writable(f.out); err != nil {
			return usagef("%w", err)
		}
		if err := files.Write(f.out, made); err != nil {
			return err
		}
		a.say("written to %s: %s", f.out, files.Names(made))
		return nil
	}
	if len(made) > 1 {
		a.say("printed: %s; --out DIR writes it and %s", made[0].Name, files.Names(made[1:]))
	}
	_, err := a.stdout.Write(made[0].Data)
	return err
}
