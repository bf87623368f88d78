-- Which session of the server belongs to which life of which process (INV-2). In memory, because a server that restarts
-- has no old sessions: the register is then empty, and that is the truth. Each server has rows of its own, because a
-- replica gets its primary's too, and ids are given by each server. Rows of a MEMORY table have their full width, so
-- what can be is ASCII; at the server's default of 16 MB some 14,000 sessions fit. Row 0 of a server is no session: it
-- witnesses the server's start with a random value.
CREATE TABLE IF NOT EXISTS upool_session
(
    Server       VARCHAR(64)     NOT NULL DEFAULT '', -- its name for itself: server_uuid, or host:port/server_id
    ConnectionId BIGINT UNSIGNED NOT NULL, -- CONNECTION_ID(), as the process list shows it
    Host         VARCHAR(261)    NOT NULL, -- host and port, as the process list shows them; ids are used again
    Account      VARCHAR(128) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL, -- whose sessions alone may be seen
    Incarnation  VARCHAR(128)    NOT NULL, -- one life of one process
    IsControl    BOOLEAN         NOT NULL, -- of its control connections, which no lease covers
    Created      DATETIME(6)     NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
    PRIMARY KEY (Server, ConnectionId)
)
ENGINE = MEMORY DEFAULT CHARACTER SET ascii COLLATE ascii_bin;
