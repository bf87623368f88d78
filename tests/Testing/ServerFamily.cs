namespace UPool.Testing;

/// <summary>What the two families of servers do not have in common: how they are started, and what they understand.
/// </summary>
public abstract class ServerFamily
{
    /// <summary>
    /// The environment variable that names the server of the tests: <c>mysql-9.7</c>, <c>mariadb-11.8</c>,
    /// <c>mariadb-10.11</c>; without it the MariaDB of this machine.
    /// </summary>
    public const string Variable = "UPOOL_TEST_SERVER";

    /// <summary>The trait of tests that are for one family only; its value is the family's name.</summary>
    public const string OnlyOn = "OnlyOn";

    /// <summary>MariaDB's name, as a trait has it.</summary>
    public const string MariaDb = "MariaDB";

    /// <summary>MySQL's name, as a trait has it.</summary>
    public const string MySql = "MySQL";

    /// <summary>The name of the tested server for <c>scripts/server.sh</c>.</summary>
    public static string TestedServer { get; } =
        Environment.GetEnvironmentVariable(Variable) is { Length: > 0 } name ? name : "system";

    /// <summary>The family of the tested server.</summary>
    public static ServerFamily Tested { get; } =
        TestedServer.StartsWith("mysql-", StringComparison.Ordinal) ? new MySqlFamily() : new MariaDbFamily();

    /// <summary>What messages call it.</summary>
    public abstract string Name { get; }

    /// <summary>The privilege to end sessions of other accounts.</summary>
    public abstract string ConnectionAdmin { get; }

    /// <summary>The variable with the isolation of the session's transactions.</summary>
    public abstract string IsolationVariable { get; }

    /// <summary>The table with the counters of the session.</summary>
    public abstract string SessionStatus { get; }

    /// <summary>The table with the counters of the server.</summary>
    public abstract string GlobalStatus { get; }

    /// <summary>The table with the sessions that the server has; one that it is still ending included.</summary>
    public abstract string ProcessList { get; }

    /// <summary>An expression: 1 inside a transaction that the session has begun, else 0.</summary>
    public abstract string InTransaction { get; }

    /// <summary>How many SETs the driver sends along with a reset of the session.</summary>
    public abstract int SetsOfReset { get; }

    /// <summary>The option that has a server offer no TLS.</summary>
    public abstract string WithoutTls { get; }

    /// <summary>What a server needs to be one of a pair that replicates.</summary>
    internal abstract IReadOnlyList<string> ReplicationArguments { get; }

    /// <summary>Forgets what was logged until now.</summary>
    internal abstract string ForgetLog { get; }

    /// <summary>Begins to replicate from another server, after what this one has.</summary>
    internal abstract string Follow(int port, string user, string password, bool wasPrimary);

    /// <summary>Replicates no more.</summary>
    internal abstract string Lead { get; }

    /// <summary>How far a primary has written, as a text.</summary>
    internal abstract string Position { get; }

    /// <summary>Waits until a replica has come as far; a query that answers when it has.</summary>
    internal abstract string WaitFor(string position);

    /// <summary>Refuses the writes of ordinary accounts, or takes them again.</summary>
    internal abstract string SetReadOnly(bool isReadOnly);

    /// <summary>What <see cref="DatabaseServer"/> gives the server besides what both families understand.</summary>
    internal abstract IReadOnlyList<string> Arguments { get; }

    /// <summary>What has to be executed on a server before the statements of this family work there.</summary>
    internal virtual string Helpers(string definer) => "";

    /// <summary>The name of the family of a server that tells this version.</summary>
    internal static string NameOf(string serverVersion) =>
        serverVersion.Contains(MariaDb, StringComparison.OrdinalIgnoreCase) ? MariaDb : MySql;

    /// <summary>The statement that gives a role to an account from its next session on.</summary>
    public abstract string SetDefaultRole(string role, string account);

    /// <summary>A table with the numbers 1 to <paramref name="count"/> in its column <c>seq</c>, for a FROM.</summary>
    public abstract string Sequence(int count, string alias = "numbers");
}
