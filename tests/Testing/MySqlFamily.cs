namespace UPool.Testing;

/// <summary>MySQL 9.7.</summary>
internal sealed class MySqlFamily : ServerFamily
{
    // A separate database: the function reads tables that an ordinary account may not read, and must not be granted.
    private const string HelperDatabase = "upool_helpers";

    // A larger JSON table delays the first row. A larger sequence is a product of two, whose order is not guaranteed.
    private const int MostElements = 10_000;
    private const int Factor = 1_000;

    public override string Name => MySql;

    public override string ConnectionAdmin => "CONNECTION_ADMIN";

    public override string IsolationVariable => "transaction_isolation";

    public override string SessionStatus => "performance_schema.session_status";

    public override string GlobalStatus => "performance_schema.global_status";

    // information_schema.processlist no longer lists a session whose transaction is being rolled back.
    public override string ProcessList => "performance_schema.processlist";

    public override string InTransaction => $"{HelperDatabase}.in_transaction()";

    public override int SetsOfReset => 1;

    public override string WithoutTls => "--tls-version=";

    // The pool needs performance_schema. Its statement history is off: it takes most of its memory.
    internal override IReadOnlyList<string> Arguments =>
    [
        "--performance-schema=1", "--performance-schema-digests-size=0",
        "--performance-schema-error-size=0", "--performance-schema-events-statements-history-long-size=0",
        "--performance-schema-events-stages-history-long-size=0",
        "--performance-schema-events-transactions-history-long-size=0",
        "--performance-schema-events-waits-history-long-size=0",
        "--innodb-redo-log-capacity=32M", "--innodb-log-buffer-size=1M", "--table-open-cache=400",
    ];

    internal override string Helpers(string definer) =>
        $"""
        CREATE DATABASE IF NOT EXISTS {HelperDatabase};
        CREATE DEFINER = {definer} FUNCTION IF NOT EXISTS {HelperDatabase}.in_transaction() RETURNS INT
        READS SQL DATA RETURN (SELECT COUNT(*) FROM performance_schema.events_transactions_current
        WHERE THREAD_ID = PS_CURRENT_THREAD_ID() AND STATE = 'ACTIVE' AND AUTOCOMMIT = 'NO');
        """;

    public override string SetDefaultRole(string role, string account) => $"SET DEFAULT ROLE {role} TO {account}";

    internal override IReadOnlyList<string> ReplicationArguments =>
    [
        "--log-bin=bin", "--gtid-mode=ON", "--enforce-gtid-consistency=ON", "--binlog-expire-logs-seconds=3600",
        "--skip-replica-start",
    ];

    internal override string ForgetLog => "RESET BINARY LOGS AND GTIDS";

    internal override string Lead => "STOP REPLICA; RESET REPLICA ALL";

    internal override string Position => "SELECT @@GLOBAL.gtid_executed";

    internal override string Follow(int port, string user, string password, bool wasPrimary) =>
        $"CHANGE REPLICATION SOURCE TO SOURCE_HOST = '127.0.0.1', SOURCE_PORT = {port}, SOURCE_USER = '{user}', "
        + $"SOURCE_PASSWORD = '{password}', SOURCE_AUTO_POSITION = 1, GET_SOURCE_PUBLIC_KEY = 1, "
        + "SOURCE_CONNECT_RETRY = 1; START REPLICA";

    internal override string WaitFor(string position) =>
        $"SELECT WAIT_FOR_EXECUTED_GTID_SET('{position.ReplaceLineEndings("")}', 60)";

    internal override string SetReadOnly(bool isReadOnly) =>
        isReadOnly ? "SET GLOBAL super_read_only = 1" : "SET GLOBAL super_read_only = 0; SET GLOBAL read_only = 0";

    public override string Sequence(int count, string alias)
    {
        if (count <= MostElements)
        {
            return $"JSON_TABLE(CONCAT('[', REPEAT('0,', {count - 1}), '0]'), "
                + $"'$[*]' COLUMNS (seq FOR ORDINALITY)) {alias}";
        }

        return count % Factor == 0
            ? $"(SELECT low.seq + {Factor} * (high.seq - 1) AS seq "
                + $"FROM {Sequence(Factor, "low")}, {Sequence(count / Factor, "high")}) {alias}"
            : throw new ArgumentOutOfRangeException(nameof(count), count, $"not a multiple of {Factor}");
    }
}
