package target

import (
	"errors"
	"io/fs"
	"os"
	"strings"
)

// password settles the password: the URL's, then password_env_var, then password_file_path, then libpq's own sources. A
// value that is the path of a file is that file's content, as the guide sets POSTGRES_APP_USER_PW to a secret's path.
func (r *resolver) password() *UsageError {
	if pw := r.conn["password"]; pw != "" {
		return r.passwordOrFile(pw, r.t.Origins["password"])
	}
	if app := r.t.App; app == nil || !r.own && r.conn["user"] != "" && r.conn["user"] != app.User {
		return nil
	}
	var tried []string
	name, place, err := r.setting("password_env_var")
	if err != nil {
		return err
	}
	if name != "" {
		if pw, ok := r.lookup(name); ok && pw != "" {
			return r.passwordOrFile(pw, r.place(name))
		}
		tried = append(tried, place+": the variable that password_env_var names is not set")
	}
	file, place, err := r.setting("password_file_path")
	if err != nil {
		return err
	}
	if file != "" {
		found, err := r.passwordFile(file, "password_file_path ("+place+")")
		if err != nil || found {
			return err
		}
		tried = append(tried, place+": the file that password_file_path names does not exist")
	}
	if len(tried) > 0 {
		r.notice("no password from config.yaml: %s", strings.Join(tried, "; "))
	}
	return nil
}

// passwordOrFile takes a password, or what the file of that name holds.
func (r *resolver) passwordOrFile(pw, place string) *UsageError {
	if strings.HasPrefix(pw, "/") && !strings.ContainsAny(pw, "\n\x00") {
		found, err := r.passwordFile(pw, place)
		if err != nil || found {
			return err
		}
		if strings.HasPrefix(pw, "/run/secrets/") {
			r.notice("%s: the password is the path of a secret, and there is no such file on this machine", place)
		}
	}
	r.conn["password"], r.t.Origins["password"] = pw, place
	return nil
}

// passwordFile reads a secret: one newline at its end is not part of it. The path is not shown: it may be a password
// that merely begins with a slash.
func (r *resolver) passwordFile(path, place string) (bool, *UsageError) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist), err == nil && !info.Mode().IsRegular(), isPath(err):
		return false, nil
	case err != nil:
		return false, usagef("%s: the password file cannot be read", place).hint("check its owner and mode, and run pgfit as a user who may read it")
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return false, usagef("%s: the password file cannot be read", place).hint("check its owner and mode, and run pgfit as a user who may read it")
	}
	pw := strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r")
	if pw == "" || strings.Contains(pw, "\x00") {
		return false, usagef("%s: the password file is empty or not text", place)
	}
	if info.Mode().Perm()&0o004 != 0 {
		r.notice("%s: the password file can be read by everybody: chmod 0600 it", place)
	}
	r.conn["password"], r.t.Origins["password"] = pw, place
	return true, nil
}

// isPath tells errors that say "this can be no file": a name too long, a file where a directory would have to be.
func isPath(err error) bool {
	var bad *fs.PathError
	return errors.As(err, &bad) && !errors.Is(err, fs.ErrPermission)
}
