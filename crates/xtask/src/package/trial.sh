# In a bare Debian: a package is installed by apt as a user would, and used, updated in a database, and removed.
package=$1
major=$(echo "$package" | sed 's/^postgresql-\([0-9]*\)-.*/\1/')
export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8
cd /package
chmod -R a+rX /package

say() { echo "    $*"; }
in_database() {
    database=$1
    shift
    runuser -u postgres -- psql --cluster "$major/trial" --no-psqlrc --quiet --set ON_ERROR_STOP=1 --dbname "$database" "$@"
}
create() { runuser -u postgres -- createdb --cluster "$major/trial" "$1"; }

# The package's own cluster would want a port of the machine's.
mkdir -p /etc/postgresql-common/createcluster.d
echo 'create_main_cluster = false' > /etc/postgresql-common/createcluster.d/trial.conf

say "apt-get install ./$package"
apt-get update --quiet=2
# apt's own user is not to read the package.
apt-get install --quiet=2 --yes --no-install-recommends --option APT::Sandbox::User=root "./$package" > /dev/null
dpkg --verify "postgresql-$major-pg-groundskeeper"

pg_createcluster --encoding UTF8 --locale C.UTF-8 --pgoption listen_addresses='' --start "$major" trial > /dev/null
say "CREATE EXTENSION, partitions, jobs"
create first
in_database first --file check.sql > /dev/null

say "the same with the library preloaded"
pg_conftool "$major" trial set shared_preload_libraries pg_groundskeeper
pg_ctlcluster "$major" trial restart
create preloaded
in_database preloaded --file check.sql > /dev/null
missing=$(in_database preloaded -XAtc "SELECT state FROM groundskeeper.prerequisites() WHERE component = 'pg_groundskeeper'")
[ "$missing" = ok ] || { say "preloaded, it is $missing"; exit 1; }

say "the tutorial, as its page has it"
# What is typed into psql there is fed to it here, in one session; a command in between is run from there.
awk '/^```/ { block = block == "" ? $0 : ""; next }
     block == "```sql" { print }
     block == "```" && /^createdb / { print }
     block == "```" && /^psql tutorial$/ { print $0 " --set ON_ERROR_STOP=1 <<\"TUTORIAL\"" }
     block == "```" && /^psql -/ { print "\\! " $0 }
     END { print "TUTORIAL" }' tutorial.md > tutorial.sh
home=$(mktemp -d) && chown postgres "$home"
(cd "$home" && runuser -u postgres -- env PGCLUSTER="$major/trial" sh -eu /package/tutorial.sh > said 2> complained) ||
    { cat "$home/said" "$home/complained"; exit 1; }
# 100000 rows, and the one that came after the table had become months.
grep -qx ' 100001' "$home/said"
grep -q '<html' "$home/report.html"

for script in pg_groundskeeper--*.sql; do
    version=${script#pg_groundskeeper--}
    version=${version%.sql}
    say "ALTER EXTENSION UPDATE from $version"
    cp "$script" "/usr/share/postgresql/$major/extension/"
    create "updated_$version"
    in_database "updated_$version" --command "CREATE EXTENSION pg_groundskeeper VERSION '$version'"
    in_database "updated_$version" --command "ALTER EXTENSION pg_groundskeeper UPDATE"
    in_database "updated_$version" --file check.sql > /dev/null
    rm "/usr/share/postgresql/$major/extension/$script"
done

say "apt-get remove: tables are written, and DDL goes on"
pg_conftool "$major" trial remove shared_preload_libraries
pg_ctlcluster "$major" trial restart
apt-get remove --quiet=2 --yes "postgresql-$major-pg-groundskeeper" > /dev/null
in_database first --command "CREATE TABLE afterwards (a integer); INSERT INTO visits SELECT 0, current_date; DROP TABLE afterwards"
pg_dropcluster --stop "$major" trial
