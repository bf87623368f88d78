namespace UPool.Testing;

/// <summary>The differences between the two server families: how they start and which SQL they accept.</summary>
public abstract class ServerFamily
{
    /// <summary>
    /// The environment variable that selects the tested server: <c>mysql-9.7</c>, <c>mariadb-11.8</c>,
    /// <c>mariadb-10.11</c>; unset: the MariaDB of this machine.
    /// </summary>
    public const string Variable = "UPOOL_TEST_SERVER";

    /// <summary>The trait of tests for one family only; its value is the family's name.</summary>
    public const string OnlyOn = "OnlyOn";

    /// <summary>MariaDB's name in traits.</summary>
    public const string MariaDb = "MariaDB";

    /// <summary>MySQL's name in traits.</summary>
    public const string MySql = "MySQL";

    /// <summary>The tested server's name in <c>scripts/server.sh</c>.</summary>
    public static string TestedServer { get; } =
        Environment.GetEnvironmentVariable(Variable) is { Length: > 0 } name ? name : "system";

    /// <summary>The family of the tested server.</summary>
    public static ServerFamily Tested { get; } =
        TestedServer.StartsWith("mysql-", StringComparison.Ordinal) ? new MySqlFamily() : new MariaDbFamily();

    /// <summary>The family's name in messages.</summary>
    public abstract string Name { get; }

    /// <summary>The privilege to kill sessions of other accounts.</summary>
    public abstract string ConnectionAdmin { get; }

    /// <summary>The variable with the session's transaction isolation.</summary>
    public abstract string IsolationVariable { get; }

    /// <summary>The table with the session's status counters.</summary>
    public abstract string SessionStatus { get; }

    /// <summary>The table with the server's status counters.</summary>
    public abstract string GlobalStatus { get; }

    /// <summary>The table with the server's sessions, including those that it is still closing.</summary>
    public abstract string ProcessList { get; }

    /// <summary>An expression: 1 inside an explicit transaction of the session, else 0.</summary>
    public abstract string InTransaction { get; }

    /// <summary>The number of SET statements that the driver sends with a session reset.</summary>
    public abstract int SetsOfReset { get; }

    /// <summary>The option that disables TLS on the server.</summary>
    public abstract string WithoutTls { get; }

    /// <summary>The server options that replication needs.</summary>
    internal abstract IReadOnlyList<string> ReplicationArguments { get; }

    /// <summary>Discards the binary log so far.</summary>
    internal abstract string ForgetLog { get; }

    /// <summary>Starts to replicate from another server, after the position that this server has.</summary>
    internal abstract string Follow(int port, string user, string password, bool wasPrimary);

    /// <summary>Stops replicating.</summary>
    internal abstract string Lead { get; }

    /// <summary>A query for the position that a primary has written, as text.</summary>
    internal abstract string Position { get; }

    /// <summary>A query that returns when a replica has reached a position.</summary>
    internal abstract string WaitFor(string position);

    /// <summary>Rejects or accepts the writes of ordinary accounts.</summary>
    internal abstract string SetReadOnly(bool isReadOnly);

    /// <summary>The server options of this family that <see cref="DatabaseServer"/> adds to the common ones.</summary>
    internal abstract IReadOnlyList<string> Arguments { get; }

    /// <summary>Statements to execute on a server before the other statements of this family work there.</summary>
    internal virtual string Helpers(string definer) => "";

    /// <summary>The family of a server with this version string.</summary>
    internal static string NameOf(string serverVersion) =>
        serverVersion.Contains(MariaDb, StringComparison.OrdinalIgnoreCase) ? MariaDb : MySql;

    /// <summary>The statement that gives an account a role from its next session on.</summary>
    public abstract string SetDefaultRole(string role, string account);

    /// <summary>A table with the numbers 1 to <paramref name="count"/> in its column <c>seq</c>, for a FROM.</summary>
    public abstract string Sequence(int count, string alias = "numbers");
}
