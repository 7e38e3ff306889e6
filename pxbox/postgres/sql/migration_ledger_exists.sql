select to_regclass('migration') is not null
