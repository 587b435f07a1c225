package export

import (
	"fmt"
	"strings"
)

// rdsMax is how many parameters one request of the RDS API takes.
const rdsMax = 20

func (j *job) rdsTerraform() error {
	return j.awsGroup("aws_db_parameter_group", "postgres", "rds-terraform", "parameter_group_name of the aws_db_instance")
}

func (j *job) auroraTerraform() error {
	return j.awsGroup("aws_rds_cluster_parameter_group", "aurora-postgresql", "aurora-terraform", "db_cluster_parameter_group_name of the aws_rds_cluster")
}

// awsGroup writes a parameter group. A value is a quoted integer in the setting's own unit, a bool 1 or 0; a static
// parameter with "immediate" would be an error.
func (j *job) awsGroup(resource, family, stem, user string) error {
	name := or(j.Name, "pgfit")
	var b strings.Builder
	b.WriteString(j.head("#"))
	fmt.Fprintf(&b, "resource %s \"pgfit\" {\n  name_prefix = %s\n  family      = %s\n  description = \"Written by pgfit\"\n",
		hcl(resource), hcl(name+"-"), hcl(fmt.Sprintf("%s%d", family, j.major())))
	for _, it := range j.items {
		fmt.Fprintf(&b, "\n  parameter { # %s, now %s\n    name         = %s\n    value        = %s\n    apply_method = %s\n  }\n",
			oneLine(it.Value), or(oneLine(it.now()), "not set"), hcl(it.Name), hcl(bit(it, it.base)), hcl(j.applyMethod(it)))
	}
	b.WriteString("\n  lifecycle {\n    create_before_destroy = true\n  }\n}\n" + j.foot("#"))
	j.file(stem+".tf", b.String())
	j.out.Apply = []string{"add the parameters of your present group that are not in this one", "set " + user + " to the new group's name",
		"terraform plan, then terraform apply"}
	if names := j.restarts(); len(names) > 0 {
		j.out.Apply = append(j.out.Apply, "reboot the instance: "+strings.Join(names, ", ")+" take effect only then")
	}
	j.out.Rollback = []string{"set " + user + " back to the group it has now", "terraform apply, then reboot the instance"}
	j.note("the default parameter group cannot be changed, hence a group of its own")
	j.catalogueNote("aws rds describe-db-parameters --db-parameter-group-name GROUP")
	return nil
}

func (j *job) applyMethod(it item) string {
	if it.restart {
		return "pending-reboot"
	}
	return "immediate"
}

func (j *job) rdsCLI() error {
	group := shellName(j.Name, "PARAMETER_GROUP", "name of the DB parameter group; the default group cannot be changed")
	var set, back, gone []string
	for _, it := range j.items {
		set = append(set, j.awsParameter(it, bit(it, it.base)))
		if it.reset {
			gone = append(gone, fmt.Sprintf("ParameterName=%s,ApplyMethod=%s", it.Name, j.applyMethod(it)))
		} else {
			back = append(back, j.awsParameter(it, bit(it, it.oldBase)))
		}
	}
	j.script("rds-cli", awsRequests("modify", group, set), awsRequests("modify", group, back)+awsRequests("reset", group, gone))
	if names := j.restarts(); len(names) > 0 {
		j.out.Apply = append(j.out.Apply, `aws rds reboot-db-instance --db-instance-identifier "${INSTANCE:?name of the DB instance}" # for `+strings.Join(names, ", "))
		j.out.Rollback = append(j.out.Rollback, `aws rds reboot-db-instance --db-instance-identifier "${INSTANCE:?name of the DB instance}"`)
	}
	j.catalogueNote("aws rds describe-db-parameters --db-parameter-group-name GROUP")
	return nil
}

// awsParameter is the command's shorthand; a value with a comma stands in double quotes there.
func (j *job) awsParameter(it item, value string) string {
	if strings.ContainsAny(value, `,=" `) {
		value = `"` + strings.ReplaceAll(strings.ReplaceAll(value, `\`, `\\`), `"`, `\"`) + `"`
	}
	return fmt.Sprintf("ParameterName=%s,ParameterValue=%s,ApplyMethod=%s", it.Name, value, j.applyMethod(it))
}

func awsRequests(verb, group string, params []string) string {
	var b strings.Builder
	for len(params) > 0 {
		n := min(len(params), rdsMax)
		fmt.Fprintf(&b, "aws rds %s-db-parameter-group --db-parameter-group-name %s --parameters", verb, group)
		for _, p := range params[:n] {
			b.WriteString(" \\\n  " + shell(p))
		}
		b.WriteString("\n")
		params = params[n:]
	}
	return b.String()
}

// catalogueNote says how to get the list of what the service lets one change.
func (j *job) catalogueNote(command string) {
	if j.Catalogue == nil {
		j.note("not checked against the service's own list of parameters: --catalogue takes the output of: %s", command)
	}
}
