-- The states of grains. The primary key is a hash of a state's whole key: its parts together are too long for an InnoDB
-- key (3,072 bytes), and text columns compare 'a' and 'a ' as equal. The parts are kept for people to read. The
-- statements below make the hash of every part and its length; they must agree.
CREATE TABLE IF NOT EXISTS upool_grain_state
(
    KeyHash                BINARY(32)    NOT NULL,
    ServiceId              VARCHAR(150)  NOT NULL,
    GrainTypeString        VARCHAR(512)  NOT NULL,
    GrainIdN0              BIGINT        NOT NULL,
    GrainIdN1              BIGINT        NOT NULL,
    GrainIdExtensionString VARCHAR(512)  NULL,
    Version                INT           NOT NULL,
    Changed                DATETIME(6)   NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6),
    PayloadBinary          LONGBLOB      NULL, -- NULL once cleared; the version outlives the payload
    PRIMARY KEY (KeyHash)
)
ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- next
-- One statement each way, so nothing is left open if it is killed. Without a version the state must not exist: of two
-- first writes the unique key admits one, at any isolation level. NULL means that another writer was first.
--
-- Versions are random, not counted: a server that lost its last writes (a crash, a fail-over to a replica that lags)
-- would count up to the same numbers again, and a process stopped with a lost version would overwrite later writes. A
-- version is any of Orleans' 32-bit numbers from 1 on, except the one before. RANDOM_BYTES, because RAND's seeds come
-- from the second of the server's start. Drawn into a variable, so that replicas are sent the value.
CREATE PROCEDURE IF NOT EXISTS upool_write_grain_state_v2(
    IN p_key BINARY(32),
    IN p_service VARCHAR(1000) CHARACTER SET utf8mb4,
    IN p_type VARCHAR(1000) CHARACTER SET utf8mb4,
    IN p_n0 BIGINT,
    IN p_n1 BIGINT,
    IN p_extension VARCHAR(1000) CHARACTER SET utf8mb4,
    IN p_version INT,
    IN p_payload LONGBLOB)
    SQL SECURITY INVOKER
BEGIN
    DECLARE drawn INT DEFAULT 1 + CAST(CONV(HEX(RANDOM_BYTES(4)), 16, 10) AS UNSIGNED) % 2147483646;
    DECLARE next_version INT DEFAULT IF(drawn < p_version, drawn, drawn + 1);
    DECLARE EXIT HANDLER FOR 1062 SELECT NULL AS NewGrainStateVersion;

    IF p_version IS NULL THEN
        INSERT INTO upool_grain_state
            (KeyHash, ServiceId, GrainTypeString, GrainIdN0, GrainIdN1, GrainIdExtensionString, Version, PayloadBinary)
        VALUES
            (p_key, p_service, p_type, p_n0, p_n1, p_extension, next_version, p_payload);
    ELSE
        UPDATE upool_grain_state SET Version = next_version, PayloadBinary = p_payload
        WHERE KeyHash = p_key AND Version = p_version;
    END IF;
    SELECT IF(ROW_COUNT() = 1, next_version, NULL) AS NewGrainStateVersion;
END

-- query ReadFromStorageKey
SELECT PayloadBinary, Version
FROM upool_grain_state
WHERE KeyHash = UNHEX(SHA2(CONCAT(
    LENGTH(@ServiceId), ':', @ServiceId, LENGTH(@GrainTypeString), ':', @GrainTypeString,
    @GrainIdHash, ':', @GrainTypeHash, ':', @GrainIdN0, ':', @GrainIdN1, ':',
    IFNULL(CONCAT(LENGTH(@GrainIdExtensionString), ':', @GrainIdExtensionString), '-')), 256));

-- query WriteToStorageKey
CALL upool_write_grain_state_v2(
    UNHEX(SHA2(CONCAT(
        LENGTH(@ServiceId), ':', @ServiceId, LENGTH(@GrainTypeString), ':', @GrainTypeString,
        @GrainIdHash, ':', @GrainTypeHash, ':', @GrainIdN0, ':', @GrainIdN1, ':',
        IFNULL(CONCAT(LENGTH(@GrainIdExtensionString), ':', @GrainIdExtensionString), '-')), 256)),
    @ServiceId, @GrainTypeString, @GrainIdN0, @GrainIdN1, @GrainIdExtensionString, @GrainStateVersion, @PayloadBinary);

-- query ClearStorageKey
-- A write of nothing. No state has version 0, so that a grain without a state cannot make one by clearing it.
CALL upool_write_grain_state_v2(
    UNHEX(SHA2(CONCAT(
        LENGTH(@ServiceId), ':', @ServiceId, LENGTH(@GrainTypeString), ':', @GrainTypeString,
        @GrainIdHash, ':', @GrainTypeHash, ':', @GrainIdN0, ':', @GrainIdN1, ':',
        IFNULL(CONCAT(LENGTH(@GrainIdExtensionString), ':', @GrainIdExtensionString), '-')), 256)),
    @ServiceId, @GrainTypeString, @GrainIdN0, @GrainIdN1, @GrainIdExtensionString, IFNULL(@GrainStateVersion, 0), NULL);

-- query DeleteStorageKey
DELETE FROM upool_grain_state
WHERE Version = @GrainStateVersion AND KeyHash = UNHEX(SHA2(CONCAT(
    LENGTH(@ServiceId), ':', @ServiceId, LENGTH(@GrainTypeString), ':', @GrainTypeString,
    @GrainIdHash, ':', @GrainTypeHash, ':', @GrainIdN0, ':', @GrainIdN1, ':',
    IFNULL(CONCAT(LENGTH(@GrainIdExtensionString), ':', @GrainIdExtensionString), '-')), 256));
SELECT IF(ROW_COUNT() = 1, IF(@GrainStateVersion = 2147483647, 1, @GrainStateVersion + 1), NULL)
    AS NewGrainStateVersion;
