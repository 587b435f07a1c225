package target

import (
	"crypto/x509"
	"net"
	"syscall"

	"github.com/jackc/pgx/v5/pgconn"
)

// causes is the table of causes, the particular before the general. What the server itself said comes first.
var causes = []cause{
	// Authentication.
	{"no-password", all(state("28P01"), noPassword), "the server asks {user} for a password and none was given", []string{
		"set PGPASSWORD or a line in ~/.pgpass (mode 0600) for {host}:{port}:{dbname}:{user}",
		"with config.yaml: check password_env_var and password_file_path",
	}},
	{"wrong-password", state("28P01"), "the server refuses the password of {user}, or there is no such role", []string{
		"check which password is used: a URL's beats password_env_var, password_file_path, PGPASSWORD and ~/.pgpass, in that order",
		"check that the role exists and has a password: \\du {user} in psql",
		"set it anew: ALTER ROLE {user} PASSWORD '...'; (with password_encryption = scram-sha-256)",
	}},
	{"no-such-role", routine("28000", "InitializeSessionUserId"), "the server has no role {user} that may log in", []string{
		"check the user in the URL: \\du in psql lists the roles",
		"an owner role is NOLOGIN on purpose: connect as the application's role",
		"create it: CREATE ROLE {user} LOGIN PASSWORD '...';",
	}},
	{"peer-failed", routine("28000", "auth_failed"), "the server knows {user} by another way than a password, and that did not match", []string{
		"over a unix socket with peer in pg_hba.conf: run pgfit as the system user of that name",
		"or connect over TCP: host=127.0.0.1",
		"or set the rule in pg_hba.conf to scram-sha-256",
	}},
	{"client-cert", all(routine("28000", "ClientAuthentication"), wantsCertificate), "the server wants a client certificate that it can verify, and got none", []string{
		"give sslcert and sslkey: a certificate signed by an authority in the server's ssl_ca_file; another one is not even sent",
		"check it: openssl verify -CAfile ca.crt client.crt; with cert in pg_hba.conf its common name has to be {user}",
		"or leave cert and clientcert out of the rule in pg_hba.conf",
	}},
	{"tls-required", all(routine("28000", "ClientAuthentication"), triedPlainOnly), "pg_hba.conf lets {user} in to {dbname} only with TLS, or not at all", []string{
		"add sslmode=require to the URL, or sslmode=verify-full with sslrootcert",
		"check for a hostssl rule for this user, database and address: SELECT * FROM pg_hba_file_rules",
	}},
	{"no-hba-entry", routine("28000", "ClientAuthentication"), "pg_hba.conf has no rule that lets {user} in to {dbname} from here", []string{
		"check user and database in the URL",
		"add a rule for this address: hostssl {dbname} {user} ADDRESS/32 scram-sha-256, then SELECT pg_reload_conf()",
		"check which rule matches: the first one decides, a later one is never reached",
	}},
	{"not-authorized", state("28000"), "the server does not let {user} in", []string{
		"check user and database in the URL", "look at the server's log: it names the rule of pg_hba.conf",
	}},
	// The server's state.
	{"no-such-database", state("3D000"), "there is no database {dbname}", []string{
		"check the name behind the last / of the URL: \\l in psql lists them",
		"without a name in the URL the user's name is taken",
		"create it: CREATE DATABASE {dbname};",
	}},
	{"too-many-connections", state("53300"), "the server has no free connection", []string{
		"see who holds them: SELECT application_name, state, count(*) FROM pg_stat_activity GROUP BY 1, 2",
		"make the application's pools smaller (instances x processes x (pool_size + max_overflow)) or max_connections larger",
		"check ALTER ROLE {user} CONNECTION LIMIT and the same of the database",
	}},
	{"starting-up", state("57P03"), "the server is starting up, shutting down or recovering", []string{
		"wait and try again: pg_isready -h {host} -p {port}",
		"check the server's log: recovery after a crash can take minutes",
		"a standby without hot_standby = on takes no connections",
	}},
	{"shutting-down", state("57P01", "57P02"), "the server ended the connection", []string{
		"check whether it was stopped or restarted just now", "check the server's log",
	}},
	{"read-only-standby", anyOf(state("25006"), is(pgconn.ErrReadOnlyConnection, pgconn.ErrStandbyConnection)),
		"the server is read-only: a standby, or default_transaction_read_only is on", []string{
			"name the primary, or all hosts with target_session_attrs=read-write",
			"check: SELECT pg_is_in_recovery(); SHOW default_transaction_read_only",
		}},
	{"not-a-standby", is(pgconn.ErrPrimaryConnection, pgconn.ErrReadWriteConnection), "the server is a primary and target_session_attrs asks for a standby", []string{
		"leave target_session_attrs out of the URL", "or name the standby's host",
	}},
	{"no-permission", state("42501"), "{user} lacks a privilege", []string{
		"to connect: GRANT CONNECT ON DATABASE {dbname} TO {user};",
		"for pgfit's own schema: GRANT CREATE ON DATABASE {dbname} TO {user};",
		"to read all settings: GRANT pg_read_all_settings, pg_read_all_stats TO {user};",
	}},
	{"bad-setting", state("42704", "22023", "55P02"), "the server refuses a setting that the connection asks for", []string{
		"check options= in the URL and PGOPTIONS", "check ALTER ROLE {user} SET and ALTER DATABASE {dbname} SET",
	}},
	{"database-closed", state("55000"), "the database {dbname} takes no connections", []string{
		"a template has datallowconn = false: name another database", "check: SELECT datname, datallowconn FROM pg_database",
	}},
	{"pooler", state("08P01"), "something in between, likely a pooler, does not take this connection", []string{
		"with PgBouncer: check its auth_file and its [databases] section for {user} and {dbname}",
		"with PgBouncer: ignore_startup_parameters = extra_float_digits,options",
		"connect to the server itself to leave the pooler out",
	}},
	// TLS.
	{"cert-expired", certificate(x509.Expired), "the server's certificate has expired or is not valid yet", []string{
		"renew ssl_cert_file on the server and reload it",
		"check the clocks of both machines",
		"check the dates: openssl x509 -noout -dates -in server.crt",
	}},
	{"cert-wrong-host", as[x509.HostnameError], "the server's certificate is not for {host}", []string{
		"use the name that the certificate has: openssl x509 -noout -ext subjectAltName -in server.crt",
		"make a certificate with subjectAltName DNS:{host}; a common name alone is not looked at",
		"sslmode=verify-ca checks the authority and not the name",
	}},
	{"cert-unknown-ca", as[x509.UnknownAuthorityError], "the server's certificate is signed by an authority that is not in sslrootcert", []string{
		"name the right authority: sslrootcert=/path/to/ca.crt, or put it in ~/.postgresql/root.crt",
		"a server that sends only its own certificate needs the intermediates in ssl_cert_file",
		"check: openssl verify -CAfile ca.crt server.crt",
	}},
	{"cert-invalid", badCertificate, "the server's certificate cannot be verified", []string{
		"check it: openssl x509 -noout -text -in server.crt", "check that sslrootcert is the authority that signed it",
	}},
	{"tls-rejected", tlsAlert, "the server broke the TLS handshake off", []string{
		"check sslcert and sslkey: the server's ssl_ca_file has to know who signed them",
		"check ssl_min_protocol_version and ssl_ciphers on the server",
		"look at the server's log",
	}},
	{"wrong-protocol", notPostgres, "what answers on port {port} does not speak PostgreSQL's protocol", []string{
		"check the port: PostgreSQL's is 5432, PgBouncer's 6432",
		"check whether a web server, a proxy or another database listens there",
	}},
	{"tls-not-offered", all(tlsRefused, noServerWord), "the server offers no TLS, and the sslmode asks for it", []string{
		"turn it on: ssl = on with ssl_cert_file and ssl_key_file in postgresql.conf",
		"on a trusted network: sslmode=prefer or sslmode=disable",
		"check the port: what is no PostgreSQL server refuses TLS the same way",
	}},
	// The network.
	{"no-socket", all(onSocket, is(syscall.ENOENT)), "there is no socket of a server on port {port} in {host}", []string{
		"check that the server runs: pg_isready -h {host} -p {port}",
		"check unix_socket_directories and port on the server; Debian's is /var/run/postgresql, others /tmp",
		"or connect over TCP: host=127.0.0.1",
	}},
	{"socket-denied", all(onSocket, is(syscall.EACCES, syscall.EPERM)), "this user may not open the socket in {host}", []string{
		"check unix_socket_permissions and unix_socket_group on the server", "or connect over TCP: host=127.0.0.1",
	}},
	{"refused", is(syscall.ECONNREFUSED), "nothing listens on {host} port {port}", []string{
		"check that the server runs: pg_isready -h {host} -p {port}",
		"check the port: a container may publish another one, such as 5433",
		"check listen_addresses on the server and the firewall",
	}},
	{"unknown-host", hostNotFound, "the host {host} is not known", []string{
		"check the spelling of the host in the URL",
		"a Compose service name such as postgres is known only inside its network: use localhost and the published port",
		"check the resolver: getent hosts {host}",
	}},
	{"resolver", as[*net.DNSError], "the name {host} could not be looked up", []string{
		"check the resolver: getent hosts {host}", "try the address in place of the name",
	}},
	{"timeout", timedOut, "no answer in time", []string{
		"check host and port: a firewall that drops packets looks like this: pg_isready -h {host} -p {port}",
		"check that the server is not overloaded or stopped",
		"give it longer: connect_timeout=30 in the URL",
	}},
	{"unreachable", is(syscall.EHOSTUNREACH, syscall.ENETUNREACH, syscall.EADDRNOTAVAIL), "there is no route to {host}", []string{
		"check the address, the network and the VPN", "check for IPv6 where only IPv4 works: use 127.0.0.1 in place of localhost",
	}},
	{"connection-closed", closed, "the connection was closed before the server answered", []string{
		"check the port: what is no PostgreSQL server does this",
		"check the server's log: it may have crashed or hit a limit",
		"a proxy or load balancer in between may have no server behind it",
	}},
}
