-- The table in which Orleans' ADO.NET providers look up their statements. Its name and columns are Orleans' contract.
CREATE TABLE IF NOT EXISTS OrleansQuery
(
    QueryKey  VARCHAR(64) NOT NULL,
    QueryText MEDIUMTEXT  NOT NULL,
    PRIMARY KEY (QueryKey)
)
ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- next
-- The scripts after this one replace statements by their key. In a database that another Orleans application has set
-- up with its own tables, that would silently hide its members and its grains' states: refuse instead.
CREATE PROCEDURE IF NOT EXISTS upool_refuse_foreign_queries_v1()
    SQL SECURITY INVOKER
BEGIN
    IF EXISTS (
        SELECT 1 FROM OrleansQuery
        WHERE QueryKey IN ('InsertMembershipKey', 'WriteToStorageKey') AND LOCATE('upool_', QueryText) = 0)
    THEN
        SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT =
            'OrleansQuery holds the statements of another application; give uPool a database of its own';
    END IF;
END

-- next
CALL upool_refuse_foreign_queries_v1()
