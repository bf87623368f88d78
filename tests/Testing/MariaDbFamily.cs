namespace UPool.Testing;

/// <summary>MariaDB 10.11 and 11.8.</summary>
internal sealed class MariaDbFamily : ServerFamily
{
    public override string Name => MariaDb;

    public override string ConnectionAdmin => "CONNECTION ADMIN";

    // The name that 10.11 has, and 11.8 still.
    public override string IsolationVariable => "tx_isolation";

    public override string SessionStatus => "information_schema.SESSION_STATUS";

    public override string GlobalStatus => "information_schema.GLOBAL_STATUS";

    public override string ProcessList => "information_schema.PROCESSLIST";

    public override string InTransaction => "@@in_transaction";

    public override string WithoutTls => "--skip-ssl";

    internal override IReadOnlyList<string> Arguments =>
    [
        "--performance-schema=0", "--innodb-log-file-size=8M", "--key-buffer-size=1M",
        "--aria-pagecache-buffer-size=4M",
    ];

    public override string SetDefaultRole(string role, string account) => $"SET DEFAULT ROLE {role} FOR {account}";

    public override string Sequence(int count, string alias) => $"seq_1_to_{count} {alias}";
}
