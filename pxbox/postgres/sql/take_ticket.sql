-- Take a ticket: who deletes its row has it, so that it counts once, whichever process asks. No row:
-- there is no such ticket, it was taken, or it has expired.
with taken as (
    delete from ws_ticket where hash = $1 returning principal, expires_at
)
select principal from taken where expires_at > clock_timestamp()
