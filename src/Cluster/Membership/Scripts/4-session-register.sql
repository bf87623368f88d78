-- Maps each session of the server to the incarnation of its process (INV-2). In memory, because a server that restarts
-- has no old sessions: the empty register is then correct. Each server has its own rows, because a replica also gets
-- its primary's, and each server assigns its own ids. Rows of a MEMORY table have their full width, so columns are
-- ASCII where possible; at the server's default of 16 MB some 14,000 sessions fit. Row 0 of a server is not a session:
-- its random value identifies the server's start.
CREATE TABLE IF NOT EXISTS upool_session
(
    Server       VARCHAR(64)     NOT NULL DEFAULT '', -- the server's own name: server_uuid, or host:port/server_id
    ConnectionId BIGINT UNSIGNED NOT NULL, -- CONNECTION_ID(), as the process list shows it
    Host         VARCHAR(261)    NOT NULL, -- host and port, as the process list shows them; ids are used again
    Account      VARCHAR(128) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL, -- sees only its own sessions
    Incarnation  VARCHAR(128)    NOT NULL, -- one life of one process
    IsControl    BOOLEAN         NOT NULL, -- a control connection, which no lease covers
    Created      DATETIME(6)     NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
    PRIMARY KEY (Server, ConnectionId)
)
ENGINE = MEMORY DEFAULT CHARACTER SET ascii COLLATE ascii_bin;
