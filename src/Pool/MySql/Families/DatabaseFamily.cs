namespace UPool.MySql;

/// <summary>What the two families of servers answer differently. Each answers in a file of its own.</summary>
internal abstract class DatabaseFamily
{
    // MariaDB before 11.0 puts it in front of the version in its handshake, for replicas that take 10 for less than 5.
    private const string ReplicationPrefix = "5.5.5-";

    private protected DatabaseFamily(string version) => Version = version;

    /// <summary>The server's own version text, as <c>VERSION()</c> has it.</summary>
    public string Version { get; }

    /// <summary>Family and version, for people.</summary>
    public abstract string Name { get; }

    /// <summary>Whether the tests of this project were run on this version.</summary>
    public abstract bool WasTested { get; }

    /// <summary>The table that lists the server's sessions, with ID, USER, HOST and COMMAND. It shows an ordinary
    /// account its own.</summary>
    public abstract string ProcessList { get; }

    /// <summary>An expression: the server's own name for itself, the same through its life and another one on every
    /// other server. It is not the address, which leads to another server after a switch-over.</summary>
    public abstract string Identity { get; }

    /// <summary>Whether the server knows roles.</summary>
    public abstract bool HasRoles { get; }

    /// <summary>The right to end sessions of other accounts, as <c>GRANT</c> spells it.</summary>
    public abstract string EndingRight { get; }

    /// <summary>
    /// Why this server cannot say when it has dropped a session, in words for an operator; null when it can. Permits
    /// are then free as soon as the server does not find the session any more (INV-1 with that lag).
    /// </summary>
    public abstract string? Blindness { get; }

    /// <summary>
    /// Whether a session is gone whose KILL was just answered with 1094, "no such session": the server has dropped it
    /// and counts it no more (INV-1).
    /// </summary>
    /// <param name="wasListed">Whether the process list showed it before that KILL was sent.</param>
    public abstract bool IsGone(bool wasListed);

    /// <summary>The statement that brings a role back; null when the server knows none.</summary>
    /// <param name="role">What <c>CURRENT_ROLE()</c> answered; null for none.</param>
    public abstract string? RestoreRole(string? role);

    /// <summary>This family on a server whose process list does not show its own session.</summary>
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
