namespace UPool.Cluster.Membership;

/// <summary>The schema could not be applied. The message names the script and the statement.</summary>
public sealed class SchemaMigrationException : Exception
{
    /// <summary>Creates the exception.</summary>
    public SchemaMigrationException(string message, Exception? inner = null)
        : base(message, inner)
    {
    }
}
