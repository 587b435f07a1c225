package main

import (
	"encoding/json"
	"errors"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"pgfit/advisor/advise"
	"pgfit/probe/appconf"
	"pgfit/probe/target"
	"pgfit/report"
	"pgfit/report/apppatch"
	"pgfit/report/files"
)

func (a *app) configCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "config", Short: "what pgfit makes of config.yaml, .env and the environment", Args: cobra.NoArgs}
	cmd.AddCommand(a.configShowCommand())
	return cmd
}

// configShowOptions are the flags of pgfit config show.
type configShowOptions struct {
	target targetFlags
	origin bool
	format string
}

func (a *app) configShowCommand() *cobra.Command {
	o := &configShowOptions{}
	cmd := &cobra.Command{
		Use: "show [TARGET]", Short: "every effective value, secrets masked", Args: cobra.MaximumNArgs(1),
		Long: `show prints the connection and the pool that pgfit would use, without connecting. The argument wins over the environment,
that over .env, that over config.yaml, that over libpq's own sources and the defaults. No secret is printed.`,
		Example: `  pgfit config show --config config.yaml --env-file .env
  pgfit config show --origin                  with the place that each value comes from`,
		RunE: func(_ *cobra.Command, args []string) error {
			if err := oneOf("format", o.format, "text", "json"); err != nil {
				return err
			}
			return o.run(a, args)
		},
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.BoolVar(&o.origin, "origin", false, "print where each value comes from")
	fs.StringVar(&o.format, "format", "text", "text or json")
	fs.StringVar(&o.target.configFile, "config", "", "the application's config.yaml")
	fs.StringVar(&o.target.envFile, "env-file", "", "a .env file for the variables in config.yaml")
	return cmd
}

func (o *configShowOptions) run(a *app, args []string) error {
	t, err := o.target.resolve(args)
	if err != nil {
		return err
	}
	for _, n := range t.Notices {
		a.say("%s", n)
	}
	if o.format == "json" {
		enc := json.NewEncoder(a.stdout)
		enc.SetEscapeHTML(false)
		enc.SetIndent("", " ")
		return enc.Encode(struct {
			Target string         `json:"target"`
			Values []target.Value `json:"values"`
		}{t.Redacted, t.Values()})
	}
	table := report.Table{Header: []string{"value ", "is "}}
	if o.origin {
		table.Header = append(table.Header, "from ")
	}
	for _, v := range append([]target.Value{{Name: "target", Value: t.Redacted}}, t.Values()...) {
		row := []string{v.Name, v.Value}
		if o.origin {
			row = append(row, v.Origin)
		}
		table.Add(row...)
	}
	return table.Render(a.stdout, false)
}

// appPatch makes the patches of config.yaml and .env, nil where no config.yaml was given.
func (f *targetFlags) appPatch(t target.Target, advice *advise.Advice, demand bool) (made []files.File, notes []string, err error) {
	if f.configFile == "" || t.Pool == nil {
		return nil, nil, nil
	}
	in := apppatch.Input{Present: *t.Pool, Advice: advice.Pool, Demand: demand, Lookup: os.LookupEnv, Origins: t.Origins}
	in.Files = appconf.Files{ConfigName: f.configFile, EnvName: f.envFile}
	if in.Files.Config, err = os.ReadFile(f.configFile); err != nil {
		return nil, nil, usagef("reading --config: %w", err)
	}
	if f.envFile != "" {
		if in.Files.Env, err = os.ReadFile(f.envFile); err != nil {
			return nil, nil, usagef("reading --env-file: %w", err)
		}
	}
	made, notes, err = apppatch.Make(in)
	if err != nil {
		return nil, nil, usagef("%w", err)
	}
	if len(made) > 0 && advice.Unfit() {
		notes = append(notes, "read the findings first: the data hardly carry this pool")
	}
	return made, notes, nil
}

// configFormats are the formats of advise that need --config.
var configFormats = []string{"config", "config-rollback"}

// printConfig writes the patches of config.yaml and .env, or their rollbacks, one after the other.
func (o *adviseOptions) printConfig(a *app, advice *advise.Advice, demand bool) error {
	if o.app.configFile == "" {
		return &usageError{err: errors.New("--format " + o.format + " needs --config"), hint: "name the application's config.yaml, and its .env with --env-file"}
	}
	o.app.scratch = true // nothing is connected to
	t, err := o.app.resolve(nil)
	if err != nil {
		return err
	}
	made, notes, err := o.app.appPatch(t, advice, demand)
	if err != nil {
		return err
	}
	for _, n := range notes {
		a.say("%s", n)
	}
	for _, f := range made {
		if strings.HasSuffix(f.Name, ".rollback.patch") == (o.format == "config-rollback") {
			if _, err := a.stdout.Write(f.Data); err != nil {
				return err
			}
		}
	}
	return nil
}
