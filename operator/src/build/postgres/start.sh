#!/bin/sh
# Makes the database where there is none, sets the roles' passwords, and becomes the server.
set -eu
secrets=/run/secrets/doacoes/database
config=/etc/doacoes/postgres

# Nothing changes by starting again and again: it fails once, so that the reason can be read, and waits from then on.
give_up() {
    echo "$1" >&2
    echo "$1" >/dev/termination-log
    if [ -e /run/postgresql/told ]; then
        trap 'exit 1' TERM
        sleep 2147483647 &
        wait
    fi
    touch /run/postgresql/told
    exit 1
}

umask 077
if [ ! -e "$PGDATA/PG_VERSION" ]; then
    # The rename makes a database of it, so one that was interrupted is never taken for whole.
    rm -rf "$PGDATA.new"
    initdb --pgdata="$PGDATA.new" --username=postgres --auth=reject --encoding=UTF8 \
        --locale-provider=builtin --builtin-locale=C.UTF-8 --locale=C --data-checksums
    sync
    mv "$PGDATA.new" "$PGDATA"
fi

found=$(cat "$PGDATA/PG_VERSION")
wanted=$(postgres --version | sed 's/[^0-9]*\([0-9]*\).*/\1/')
[ "$found" = "$wanted" ] ||
    give_up "the data is of PostgreSQL $found and the image has $wanted: set an image of PostgreSQL $found, or dump with it and restore into a new platform"

# Over the socket, before anybody else is let in; so a Secret that was changed or made anew holds from the next start on.
pg_ctl start --wait --timeout=86400 --silent --options="-c config_file=$config/postgresql.conf -c listen_addresses=''"
psql --host=/run/postgresql --username=postgres --dbname=postgres --no-psqlrc --quiet \
    --set=ON_ERROR_STOP=1 --set=dono="$(cat $secrets/owner-password)" --set=app="$(cat $secrets/app-password)" <<'END'
-- A statement with a password in it does not belong into the log.
SET log_min_error_statement = 'panic';
SET log_min_duration_statement = -1;
SELECT format('CREATE ROLE %I', role) FROM unnest(ARRAY['dono', 'app']) role
WHERE role NOT IN (SELECT rolname FROM pg_roles) \gexec
ALTER ROLE dono LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD :'dono';
ALTER ROLE app LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD :'app';
ALTER ROLE app SET statement_timeout = '1s';
ALTER ROLE app SET jit = off;
SELECT 'CREATE DATABASE doacoes OWNER dono'
WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = 'doacoes') \gexec
REVOKE ALL ON DATABASE doacoes FROM PUBLIC;
GRANT CONNECT ON DATABASE doacoes TO app;
END
pg_ctl stop --wait --timeout=86400 --silent --mode=fast

exec postgres -c config_file="$config/postgresql.conf"
