-- The accounts of a production database, for MySQL and MariaDB. Replace the passwords, and '%' by the addresses of your
-- nodes where you can.
--
-- The limits are the server's own fence around the budget (budget.env): 64 + 32 + 2 sessions, and 2 in reserve.

CREATE DATABASE IF NOT EXISTS upool CHARACTER SET utf8mb4;

-- Secret upool-database, key pool. What the silos' pools use: rows, nothing else.
-- 64 = UPool__Budget__ServerConnections (100) less control (32), schema (2) and reserve (2).
CREATE USER IF NOT EXISTS 'upool_pool'@'%' IDENTIFIED BY 'CHANGE-ME-POOL'
    REQUIRE SSL WITH MAX_USER_CONNECTIONS 64;
GRANT SELECT, INSERT, UPDATE, DELETE ON upool.* TO 'upool_pool'@'%';

-- Secret upool-database, key control. Membership and storage; PROCESS and CONNECTION ADMIN to see and end the pools'
-- sessions. MariaDB lets CONNECTION ADMIN past this limit, so here it is a note: 2 for each of 8 silos and 8 API
-- processes.
CREATE USER IF NOT EXISTS 'upool_control'@'%' IDENTIFIED BY 'CHANGE-ME-CONTROL'
    REQUIRE SSL WITH MAX_USER_CONNECTIONS 32;
GRANT SELECT, INSERT, UPDATE, DELETE, EXECUTE ON upool.* TO 'upool_control'@'%';
-- MariaDB's name of the second right, then MySQL's: each server reads its own and takes the other for a comment.
GRANT PROCESS, /*M! CONNECTION ADMIN */ /*!80000 CONNECTION_ADMIN */ ON *.* TO 'upool_control'@'%';

-- Secret upool-database, key schema. The Job that applies the schema, and nobody else.
CREATE USER IF NOT EXISTS 'upool_schema'@'%' IDENTIFIED BY 'CHANGE-ME-SCHEMA'
    REQUIRE SSL WITH MAX_USER_CONNECTIONS 2;
GRANT CREATE, CREATE ROUTINE, EXECUTE, SELECT, INSERT, UPDATE ON upool.* TO 'upool_schema'@'%';
