-- The accounts of a production database, for MySQL and MariaDB. Replace the passwords, and if possible '%' by the
-- addresses of your nodes.
--
-- The limits let the server itself enforce the budget (budget.env): 64 + 32 + 2 sessions, and 2 in reserve.

CREATE DATABASE IF NOT EXISTS upool CHARACTER SET utf8mb4;

-- Secret upool-database, key pool. The account of the silos' pools: may read and write rows only.
-- 64 = UPool__Budget__ServerConnections (100) less control (32), schema (2) and reserve (2).
CREATE USER IF NOT EXISTS 'upool_pool'@'%' IDENTIFIED BY 'CHANGE-ME-POOL'
    REQUIRE SSL WITH MAX_USER_CONNECTIONS 64;
GRANT SELECT, INSERT, UPDATE, DELETE ON upool.* TO 'upool_pool'@'%';

-- Secret upool-database, key control. Membership and storage; PROCESS and CONNECTION ADMIN to see and end the pools'
-- sessions. MariaDB does not apply this limit to accounts with CONNECTION ADMIN; there it only documents the number: 2
-- for each of 8 silos and 8 API processes.
CREATE USER IF NOT EXISTS 'upool_control'@'%' IDENTIFIED BY 'CHANGE-ME-CONTROL'
    REQUIRE SSL WITH MAX_USER_CONNECTIONS 32;
GRANT SELECT, INSERT, UPDATE, DELETE, EXECUTE ON upool.* TO 'upool_control'@'%';
-- MariaDB's name of the second right, then MySQL's: each server reads its own and treats the other as a comment.
GRANT PROCESS, /*M! CONNECTION ADMIN */ /*!80000 CONNECTION_ADMIN */ ON *.* TO 'upool_control'@'%';

-- Secret upool-database, key schema. Only for the Job that applies the schema.
CREATE USER IF NOT EXISTS 'upool_schema'@'%' IDENTIFIED BY 'CHANGE-ME-SCHEMA'
    REQUIRE SSL WITH MAX_USER_CONNECTIONS 2;
GRANT CREATE, CREATE ROUTINE, EXECUTE, SELECT, INSERT, UPDATE ON upool.* TO 'upool_schema'@'%';
