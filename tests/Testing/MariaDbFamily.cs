namespace UPool.Testing;

/// <summary>MariaDB 10.11 and 11.8.</summary>
internal sealed class MariaDbFamily : ServerFamily
{
    public override string Name => MariaDb;

    public override string ConnectionAdmin => "CONNECTION ADMIN";

    // 10.11 knows only this name; 11.8 still accepts it.
    public override string IsolationVariable => "tx_isolation";

    public override string SessionStatus => "information_schema.SESSION_STATUS";

    public override string GlobalStatus => "information_schema.GLOBAL_STATUS";

    public override string ProcessList => "information_schema.PROCESSLIST";

    public override string InTransaction => "@@in_transaction";

    public override int SetsOfReset => 0;

    public override string WithoutTls => "--skip-ssl";

    internal override IReadOnlyList<string> Arguments =>
    [
        "--performance-schema=0", "--innodb-log-file-size=8M", "--key-buffer-size=1M",
        "--aria-pagecache-buffer-size=4M",
    ];

    public override string SetDefaultRole(string role, string account) => $"SET DEFAULT ROLE {role} FOR {account}";

    internal override IReadOnlyList<string> ReplicationArguments =>
        ["--log-bin=bin", "--log-slave-updates", "--binlog-format=ROW", "--gtid-strict-mode=0"];

    internal override string ForgetLog => "RESET MASTER; SET GLOBAL gtid_slave_pos = ''";

    internal override string Lead => "STOP SLAVE; RESET SLAVE ALL";

    internal override string Position => "SELECT @@GLOBAL.gtid_binlog_pos";

    internal override string Follow(int port, string user, string password, bool wasPrimary) =>
        $"CHANGE MASTER TO MASTER_HOST = '127.0.0.1', MASTER_PORT = {port}, MASTER_USER = '{user}', "
        + $"MASTER_PASSWORD = '{password}', MASTER_USE_GTID = slave_pos, MASTER_CONNECT_RETRY = 1"
        + (wasPrimary ? ", MASTER_DEMOTE_TO_SLAVE = 1" : "") + "; START SLAVE";

    internal override string WaitFor(string position) => $"SELECT MASTER_GTID_WAIT('{position}', 60)";

    internal override string SetReadOnly(bool isReadOnly) => $"SET GLOBAL read_only = {(isReadOnly ? 1 : 0)}";

    public override string Sequence(int count, string alias) => $"seq_1_to_{count} {alias}";
}
