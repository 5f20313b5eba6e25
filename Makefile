# What PGXN's client, packages and images build with, for the server that PG_CONFIG names:
#
#     make && make install PG_CONFIG=... DESTDIR=...
#
# cargo-pgrx builds; `cargo install cargo-pgrx --version =0.18.1 --locked` brings it. As with PGXS, pkglibdir and datadir
# may be other folders than those that pg_config tells.

EXTENSION = pg_groundskeeper
PG_CONFIG ?= pg_config
PROFILE ?= release
CARGO ?= cargo
INSTALL ?= install
DATABASE ?= $(EXTENSION)_installcheck

override PG_CONFIG := $(or $(shell command -v '$(PG_CONFIG)' 2>/dev/null),$(error there is no $(PG_CONFIG)))
major := $(shell '$(PG_CONFIG)' --version | sed 's/^PostgreSQL \([0-9]*\).*/\1/')
bindir := $(shell '$(PG_CONFIG)' --bindir)
pkglibdir := $(shell '$(PG_CONFIG)' --pkglibdir)
datadir := $(shell '$(PG_CONFIG)' --sharedir)

# Before 16, macOS called libraries .so, too.
library := $(EXTENSION)$(if $(filter Darwin,$(shell uname)),$(if $(filter 15,$(major)),.so,.dylib),.so)

# cargo-pgrx puts files below this folder where they would be below the root.
built := $(or $(CARGO_TARGET_DIR),target)/$(PROFILE)/$(EXTENSION)-pg$(major)
built_library := $(built)$(shell '$(PG_CONFIG)' --pkglibdir)/$(library)
built_scripts := $(built)$(shell '$(PG_CONFIG)' --sharedir)/extension

sources := Cargo.toml Cargo.lock $(EXTENSION).control $(shell find src sql crates/core -type f)

.PHONY: all install uninstall installcheck licences clean

all: $(built_library)

# So that installing as another user builds nothing anew.
$(built_library): $(sources)
	PGRX_PG_CONFIG_PATH='$(PG_CONFIG)' $(CARGO) pgrx package --profile $(PROFILE) --pg-config '$(PG_CONFIG)' --out-dir $(built)

install: all
	$(INSTALL) -d '$(DESTDIR)$(pkglibdir)' '$(DESTDIR)$(datadir)/extension'
	$(INSTALL) -m 755 '$(built_library)' '$(DESTDIR)$(pkglibdir)/'
	$(INSTALL) -m 644 '$(built_scripts)/$(EXTENSION)'* '$(DESTDIR)$(datadir)/extension/'

uninstall:
	rm -f '$(DESTDIR)$(pkglibdir)/$(library)' '$(DESTDIR)$(datadir)/extension/$(EXTENSION)'.control \
	    '$(DESTDIR)$(datadir)/extension/$(EXTENSION)'--*.sql

# In a database of its own on the server that PGHOST and its like name, which must be a superuser's.
installcheck:
	'$(bindir)/createdb' $(DATABASE)
	'$(bindir)/psql' --no-psqlrc --quiet --set ON_ERROR_STOP=1 --dbname $(DATABASE) --file packaging/check.sql; \
	    outcome=$$?; '$(bindir)/dropdb' --force $(DATABASE); exit $$outcome

# The licences of the extension and of all that is linked into its library.
licences:
	$(CARGO) xtask licences '$(DESTDIR)/licenses' --pg $(major)

clean:
	rm -rf '$(built)'
