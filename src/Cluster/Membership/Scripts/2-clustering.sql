-- Orleans' membership: one version row per cluster. Every change of a member increments it, so that of several silos
-- that read the same version only one can write. Times are UTC.
CREATE TABLE IF NOT EXISTS upool_member_version
(
    DeploymentId VARCHAR(150) NOT NULL,
    Version      INT          NOT NULL DEFAULT 0,
    Changed      DATETIME(6)  NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6),
    PRIMARY KEY (DeploymentId)
)
ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- next
CREATE TABLE IF NOT EXISTS upool_member
(
    DeploymentId VARCHAR(150) NOT NULL,
    Address      VARCHAR(45)  NOT NULL, -- the longest text of an IPv6 address
    Port         INT          NOT NULL,
    Generation   INT          NOT NULL,
    SiloName     VARCHAR(150) NOT NULL,
    HostName     VARCHAR(255) NOT NULL, -- the longest name of a host
    Status       INT          NOT NULL, -- 1 created, 2 joining, 3 active, 4 shutting down, 5 stopping, 6 dead
    ProxyPort    INT          NOT NULL, -- the gateway; 0 for none
    SuspectTimes TEXT         NULL,
    StartTime    DATETIME(6)  NOT NULL,
    IAmAliveTime DATETIME(6)  NOT NULL,
    PRIMARY KEY (DeploymentId, Address, Port, Generation)
)
ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- next
-- INSERT IGNORE would also accept an id that is too long, and truncate it.
CREATE PROCEDURE IF NOT EXISTS upool_insert_member_version_v1(
    IN p_deployment VARCHAR(1000) CHARACTER SET utf8mb4)
    SQL SECURITY INVOKER
BEGIN
    DECLARE EXIT HANDLER FOR 1062 SELECT 0 AS Inserted;
    INSERT INTO upool_member_version (DeploymentId) VALUES (p_deployment);
    SELECT 1 AS Inserted;
END

-- next
-- A new member and the next version, both or neither. The version comes first: its row's lock makes contenders wait,
-- and the loser finds another version. Without the handlers an error would leave the transaction and that lock open on
-- a connection that returns to its pool.
CREATE PROCEDURE IF NOT EXISTS upool_insert_member_v1(
    IN p_deployment VARCHAR(1000) CHARACTER SET utf8mb4,
    IN p_address VARCHAR(1000) CHARACTER SET utf8mb4,
    IN p_port INT,
    IN p_generation INT,
    IN p_silo VARCHAR(1000) CHARACTER SET utf8mb4,
    IN p_host VARCHAR(1000) CHARACTER SET utf8mb4,
    IN p_status INT,
    IN p_proxy_port INT,
    IN p_start DATETIME(6),
    IN p_alive DATETIME(6),
    IN p_version INT)
    SQL SECURITY INVOKER
BEGIN
    DECLARE moved INT DEFAULT 0;

    DECLARE EXIT HANDLER FOR SQLEXCEPTION
    BEGIN
        ROLLBACK;
        RESIGNAL;
    END;

    -- The member is already there: not an error, a lost race.
    DECLARE EXIT HANDLER FOR 1062
    BEGIN
        ROLLBACK;
        SELECT 0 AS Inserted;
    END;

    START TRANSACTION;
    UPDATE upool_member_version SET Version = Version + 1
    WHERE DeploymentId = p_deployment AND Version = p_version;
    SET moved = ROW_COUNT();
    IF moved = 1 THEN
        INSERT INTO upool_member
            (DeploymentId, Address, Port, Generation, SiloName, HostName, Status, ProxyPort, StartTime, IAmAliveTime)
        VALUES
            (p_deployment, p_address, p_port, p_generation, p_silo, p_host, p_status, p_proxy_port, p_start, p_alive);
    END IF;
    COMMIT;
    SELECT moved AS Inserted;
END

-- query InsertMembershipVersionKey
CALL upool_insert_member_version_v1(@DeploymentId);

-- query InsertMembershipKey
CALL upool_insert_member_v1(
    @DeploymentId, @Address, @Port, @Generation, @SiloName, @HostName, @Status, @ProxyPort, @StartTime, @IAmAliveTime,
    @Version);

-- query UpdateMembershipKey
-- One statement over both tables: without the member's row the version does not move either.
UPDATE upool_member_version AS v
INNER JOIN upool_member AS m ON m.DeploymentId = v.DeploymentId
SET v.Version = v.Version + 1,
    m.Status = @Status,
    m.SuspectTimes = @SuspectTimes,
    m.IAmAliveTime = @IAmAliveTime
WHERE v.DeploymentId = @DeploymentId AND v.Version = @Version
  AND m.Address = @Address AND m.Port = @Port AND m.Generation = @Generation;
SELECT ROW_COUNT() > 0 AS Updated;

-- query UpdateIAmAlivetimeKey
UPDATE upool_member SET IAmAliveTime = @IAmAliveTime
WHERE DeploymentId = @DeploymentId AND Address = @Address AND Port = @Port AND Generation = @Generation;

-- query MembershipReadRowKey
SELECT v.DeploymentId, m.Address, m.Port, m.Generation, m.SiloName, m.HostName, m.Status, m.ProxyPort,
       m.SuspectTimes, m.StartTime, m.IAmAliveTime, v.Version
FROM upool_member_version AS v
LEFT JOIN upool_member AS m
    ON m.DeploymentId = v.DeploymentId
    AND m.Address = @Address AND m.Port = @Port AND m.Generation = @Generation
WHERE v.DeploymentId = @DeploymentId;

-- query MembershipReadAllKey
-- Without members there is still one row, with the version and a StartTime of NULL.
SELECT v.DeploymentId, m.Address, m.Port, m.Generation, m.SiloName, m.HostName, m.Status, m.ProxyPort,
       m.SuspectTimes, m.StartTime, m.IAmAliveTime, v.Version
FROM upool_member_version AS v
LEFT JOIN upool_member AS m ON m.DeploymentId = v.DeploymentId
WHERE v.DeploymentId = @DeploymentId;

-- query GatewaysQueryKey
SELECT Address, ProxyPort, Generation
FROM upool_member
WHERE DeploymentId = @DeploymentId AND Status = @Status AND ProxyPort > 0;

-- query DeleteMembershipTableEntriesKey
DELETE v, m
FROM upool_member_version AS v
LEFT JOIN upool_member AS m ON m.DeploymentId = v.DeploymentId
WHERE v.DeploymentId = @DeploymentId;

-- query CleanupDefunctSiloEntriesKey
DELETE FROM upool_member
WHERE DeploymentId = @DeploymentId AND Status = 6 AND IAmAliveTime < @IAmAliveTime;

-- query CleanupDefunctSiloEntryKey
-- Only if the row is unchanged since it was read.
DELETE FROM upool_member
WHERE DeploymentId = @DeploymentId AND Address = @Address AND Port = @Port AND Generation = @Generation
  AND Status = 6 AND SuspectTimes <=> @SuspectTimes AND StartTime = @StartTime AND IAmAliveTime = @IAmAliveTime;
