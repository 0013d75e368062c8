-- What a worker may do in the hub's database: take jobs, hand in what its models say, and give signs of life.
-- It cannot read the vault, keys, identified documents, FHIR resources or the audit log, and writes none of them.
--
-- Run it as the owner of the tables, once, and again after each upgrade:
--
--     psql "$OSLER_STORAGE_DATABASE" -f worker-role.sql
--     psql "$OSLER_STORAGE_DATABASE" -c '\password osler_worker'

BEGIN;

DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'osler_worker') THEN
        CREATE ROLE osler_worker LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOINHERIT;
    END IF;
END
$$;

REVOKE ALL ON ALL TABLES IN SCHEMA public FROM osler_worker;
REVOKE CREATE ON SCHEMA public FROM osler_worker;

GRANT USAGE ON SCHEMA public TO osler_worker;
GRANT SELECT ON alembic_version TO osler_worker;

-- Jobs: pseudonymous UIDs and references to de-identified files. It cannot make one, nor change whose or what it is.
GRANT SELECT ON job TO osler_worker;
GRANT UPDATE (
    state, attempts, available_at, lease_owner, lease_until, dead, reason, started_at, finished_at, published_at
) ON job TO osler_worker;

-- Results: handed in, never seen again. The hub checks and records them.
GRANT INSERT ON handed_in TO osler_worker;

-- Itself, and who else works.
GRANT SELECT, INSERT, UPDATE, DELETE ON worker TO osler_worker;

COMMIT;
