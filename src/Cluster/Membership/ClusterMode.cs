namespace UPool.Cluster.Membership;

/// <summary>How the processes of a deployment find each other.</summary>
public enum ClusterMode
{
    /// <summary>They do not: one silo, in this process.</summary>
    Localhost,

    /// <summary>Through a membership table on the database's server.</summary>
    MySql,
}
