package appconf

import "fmt"

// Files are the application's two files; Env is nil where there is none.
type Files struct {
	Config, Env         []byte
	ConfigName, EnvName string
}

// Skipped is a value that no edit of a file can change.
type Skipped struct {
	Path   string
	Reason string // what to do in its place
}

// Apply changes values of config.yaml where they come from: a value that really comes from .env is changed there, one
// that comes from the environment of the process is skipped, the rest is changed in config.yaml. outer is the environment.
func Apply(f Files, changes []Change, outer Lookup) (Files, []Skipped, error) {
	d, err := Parse(f.Config)
	if err != nil {
		return f, nil, fmt.Errorf("%s: %w", f.ConfigName, err)
	}
	env, err := ReadEnv(f.Env, outer)
	if err != nil {
		return f, nil, fmt.Errorf("%s: %w", f.EnvName, err)
	}
	var skipped []Skipped
	var inConfig, inEnv []Change
	for _, c := range changes {
		s, _ := d.Scalar(c.Path)
		name, isVar := Variable(s.Text)
		if v, ok := outer(name); isVar && ok && v != "" {
			skipped = append(skipped, Skipped{c.Path, fmt.Sprintf("it comes from the environment variable %s: set %s=%s where the application is started", name, name, c.Value)})
		} else if v, ok := env.Lookup(name); isVar && ok && v != "" {
			inEnv = append(inEnv, Change{name, c.Value})
		} else {
			inConfig = append(inConfig, c)
		}
	}
	if f.Config, err = Edit(f.Config, inConfig); err != nil {
		return f, nil, fmt.Errorf("%s: %w", f.ConfigName, err)
	}
	if f.Env, err = EditEnv(f.Env, inEnv); err != nil {
		return f, nil, fmt.Errorf("%s: %w", f.EnvName, err)
	}
	return f, skipped, nil
}
