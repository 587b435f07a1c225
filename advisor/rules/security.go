package rules

import "pgfit/probe"

// passwords: md5 hashes can be used as they are by whoever steals them (manual, Password Authentication). Changing
// password_encryption locks nobody out by itself, but passwords have to be set again and old drivers may lack SCRAM, so it
// is a note and no proposal.
func passwords(s *situation) []probe.Warning {
	if s.present.Text("password_encryption") != "md5" {
		return nil
	}
	return []probe.Warning{{Code: "password-md5", Text: "new passwords are stored as md5, and a stolen hash is as good as the password",
		Hint: "set password_encryption = scram-sha-256, set the passwords again, then change md5 to scram-sha-256 in pg_hba.conf"}}
}
