namespace UPool.MySql;

/// <summary>The differences between the two families of servers; each family has its own file.</summary>
internal abstract class DatabaseFamily
{
    // MariaDB before 11.0 puts this before the version in its handshake, for replicas that rank version 10 below 5.
    private const string ReplicationPrefix = "5.5.5-";

    private protected DatabaseFamily(string version) => Version = version;

    /// <summary>The server's own version text, as <c>VERSION()</c> returns it.</summary>
    public string Version { get; }

    /// <summary>Family and version, for messages.</summary>
    public abstract string Name { get; }

    /// <summary>Whether this project's tests were run on this version.</summary>
    public abstract bool WasTested { get; }

    /// <summary>The table that lists the server's sessions, with ID, USER, HOST and COMMAND. It shows an ordinary
    /// account only its own sessions.</summary>
    public abstract string ProcessList { get; }

    /// <summary>An SQL expression for the server's own name, which stays the same during its life and differs from
    /// every other server's. The address will not do: after a switch-over it leads to another server.</summary>
    public abstract string Identity { get; }

    /// <summary>Whether the server supports roles.</summary>
    public abstract bool HasRoles { get; }

    /// <summary>The right to end sessions of other accounts, as <c>GRANT</c> spells it.</summary>
    public abstract string EndingRight { get; }

    /// <summary>
    /// The reason why this server cannot confirm that it has dropped a session, as a message for an operator; null if
    /// it can confirm that. Without confirmation, permits are free as soon as the server no longer finds the session
    /// (INV-1 with that lag).
    /// </summary>
    public abstract string? Blindness { get; }

    /// <summary>
    /// Whether a session is gone after its KILL was answered with 1094, "no such session": the server has dropped it
    /// and no longer counts it (INV-1).
    /// </summary>
    /// <param name="wasListed">Whether the process list showed the session before that KILL was sent.</param>
    public abstract bool IsGone(bool wasListed);

    /// <summary>The statement that restores a role; null if the server does not support roles.</summary>
    /// <param name="role">The answer of <c>CURRENT_ROLE()</c>; null for none.</param>
    public abstract string? RestoreRole(string? role);

    /// <summary>This family on a server whose process list does not show the session that reads it.</summary>
    public virtual DatabaseFamily WithoutProcessList() => this;

    /// <summary>The family of a server.</summary>
    /// <param name="version">The version text of its handshake.</param>
    public static DatabaseFamily Of(string version)
    {
        if (!version.Contains("MariaDB", StringComparison.OrdinalIgnoreCase)) return new MySqlFamily(version);

        bool isPrefixed = version.StartsWith(ReplicationPrefix, StringComparison.Ordinal);
        return new MariaDbFamily(isPrefixed ? version[ReplicationPrefix.Length..] : version);
    }

    private protected static bool Starts(string version, params ReadOnlySpan<string> tested)
    {
        foreach (string one in tested)
        {
            if (version.StartsWith(one, StringComparison.Ordinal)) return true;
        }

        return false;
    }
}
