package export

import (
	"fmt"
	"strings"
)

// cloudSQLCLI replaces all flags of the instance at once, so that the present ones have to be in the command.
func (j *job) cloudSQLCLI() error {
	instance := shellName(j.Name, "INSTANCE", "name of the Cloud SQL instance")
	present := "$PRESENT_FLAGS"
	ask := `# All flags are replaced at once. PRESENT_FLAGS are those the instance has now and pgfit does not change, as NAME=VALUE;NAME=VALUE:
#   gcloud sql instances describe INSTANCE --format='value(settings.databaseFlags)'
: "${PRESENT_FLAGS?set it to the flags the instance has now, or to an empty string}"
`
	keep := "${PRESENT_FLAGS:+;$PRESENT_FLAGS}"
	if j.PresentFlags != nil {
		present, ask, keep = strings.Join(j.PresentFlags, ";"), "", ""
		for _, f := range j.PresentFlags {
			if name, _, _ := strings.Cut(f, "="); !j.has(name) {
				keep += ";" + doubleQuoted(f)
			}
		}
	}
	var flags []string
	for _, it := range j.items {
		flags = append(flags, doubleQuoted(it.Name+"="+it.base))
	}
	do := ""
	if len(flags) > 0 {
		do = ask + "gcloud sql instances patch " + instance + ` --database-flags="^;^` + strings.Join(flags, ";") + keep + "\"\n"
	}
	undo := ask + "if [ -n \"" + doubleQuotedKeep(present) + "\" ]; then\n  gcloud sql instances patch " + instance + ` --database-flags="^;^` +
		doubleQuotedKeep(present) + "\"\nelse\n  gcloud sql instances patch " + instance + " --clear-database-flags\nfi\n"
	j.script("cloudsql-gcloud", do, undo)
	if names := j.restarts(); len(names) > 0 {
		j.note("the instance restarts at once for %s", strings.Join(names, ", "))
	}
	j.catalogueNote(fmt.Sprintf("gcloud sql flags list --database-version POSTGRES_%d --format json", j.major()))
	return nil
}

func (j *job) has(name string) bool {
	for _, it := range j.items {
		if it.Name == name {
			return true
		}
	}
	return false
}

func doubleQuoted(s string) string {
	return strings.NewReplacer(`\`, `\\`, `"`, `\"`, "$", `\$`, "`", "\\`").Replace(s)
}

// doubleQuotedKeep leaves the one variable that the script itself uses.
func doubleQuotedKeep(s string) string {
	if s == "$PRESENT_FLAGS" {
		return s
	}
	return doubleQuoted(s)
}

func (j *job) cloudSQLTerraform() error {
	var b strings.Builder
	b.WriteString(j.head("#") + "# These blocks belong into settings { } of the google_sql_database_instance.\n")
	for _, it := range j.items {
		fmt.Fprintf(&b, "\ndatabase_flags { # %s, now %s\n  name  = %s\n  value = %s\n}\n", oneLine(it.Value), or(oneLine(it.now()), "not set"), hcl(it.Name), hcl(it.base))
	}
	b.WriteString(j.foot("#"))
	j.file("cloudsql-terraform.tf", b.String())
	j.out.Apply = []string{"put the blocks into settings { } of the instance, in place of those of the same name", "terraform plan, then terraform apply"}
	j.out.Rollback = []string{"take the blocks out, or give those that were there their old value", "terraform apply"}
	if names := j.restarts(); len(names) > 0 {
		j.note("the instance restarts at once for %s", strings.Join(names, ", "))
	}
	j.catalogueNote(fmt.Sprintf("gcloud sql flags list --database-version POSTGRES_%d --format json", j.major()))
	return nil
}

func (j *job) azureCLI() error {
	server := shellName(j.Name, "SERVER", "name of the flexible server")
	base := `az postgres flexible-server parameter set -g "${RESOURCE_GROUP:?resource group of the server}" -s ` + server + " -n "
	var do, undo strings.Builder
	for _, it := range j.items {
		fmt.Fprintf(&do, "%s%s -v %s\n", base, it.Name, shell(it.base))
		if it.reset {
			fmt.Fprintf(&undo, "az postgres flexible-server parameter set -g \"${RESOURCE_GROUP:?resource group of the server}\" -s %s -n %s --source system-default\n", server, it.Name)
		} else {
			fmt.Fprintf(&undo, "%s%s -v %s\n", base, it.Name, shell(it.oldBase))
		}
	}
	j.script("azure-cli", do.String(), undo.String())
	if names := j.restarts(); len(names) > 0 {
		step := `az postgres flexible-server restart -g "${RESOURCE_GROUP:?resource group of the server}" -n ` + server + " # for " + strings.Join(names, ", ")
		j.out.Apply, j.out.Rollback = append(j.out.Apply, step), append(j.out.Rollback, step)
	}
	j.note("the built-in PgBouncer is set by parameters of the same kind: pgbouncer.default_pool_size and others")
	j.catalogueNote("az postgres flexible-server parameter list -g GROUP -s SERVER -o json")
	return nil
}

func (j *job) azureTerraform() error {
	server := or(j.Name, "main")
	var b strings.Builder
	b.WriteString(j.head("#"))
	for _, it := range j.items {
		fmt.Fprintf(&b, "\nresource \"azurerm_postgresql_flexible_server_configuration\" %s { # %s, now %s\n  name      = %s\n"+
			"  server_id = azurerm_postgresql_flexible_server.%s.id\n  value     = %s\n}\n",
			hcl("pgfit_"+strings.ReplaceAll(it.Name, ".", "_")), oneLine(it.Value), or(oneLine(it.now()), "not set"), hcl(it.Name), hclName(server), hcl(it.base))
	}
	b.WriteString(j.foot("#"))
	j.file("azure-terraform.tf", b.String())
	j.out.Apply = []string{"terraform plan, then terraform apply"}
	j.out.Rollback = []string{"take the resources out and terraform apply: the provider sets the parameters back to their defaults; give those that had a value of their own that value"}
	if names := j.restarts(); len(names) > 0 {
		j.note("Terraform restarts the server for %s unless the provider's feature postgresql_flexible_server { restart_server_on_configuration_value_change } is off",
			strings.Join(names, ", "))
	}
	j.catalogueNote("az postgres flexible-server parameter list -g GROUP -s SERVER -o json")
	return nil
}

// hclName is a name that can stand in an expression.
func hclName(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' || r == '-' {
			return r
		}
		return '_'
	}, s)
}
