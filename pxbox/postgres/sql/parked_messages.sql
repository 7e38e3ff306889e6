select count(*) as n from message where attempts >= 10
